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

// Item is a word that a flag of kubectl or Helm takes as one of a list: they read such a flag as a line of comma-separated values
// (RFC 4180), in which a comma or a double quote would end a name.
func Item(word string) string { return item(word, runtime.GOOS) }

func item(word, goos string) string {
	// Windows' shells do not agree on how a double quote is passed on.
	if goos != "windows" && strings.ContainsAny(word, ",\"\n") {
		word = `"` + strings.ReplaceAll(word, `"`, `""`) + `"`
	}
	return quote(word, goos)
}

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
