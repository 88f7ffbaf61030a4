// Package shell writes commands that a person copies into a shell.
package shell

import (
	"runtime"
	"strings"
)

// plain are the characters that mean themselves to every shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+-"

// Quote is a word of a command, in quotes where it needs them.
func Quote(word string) string { return quote(word, runtime.GOOS) }

func quote(word, goos string) string {
	if goos == "windows" {
		// What cmd.exe and PowerShell have in common. No file has a double quote in its name there.
		if word != "" && strings.Trim(word, plain+`\`) == "" {
			return word
		}
		return `"` + word + `"`
	}
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
