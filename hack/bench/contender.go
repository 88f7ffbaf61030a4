package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// contender is a program that is measured. The first one of the configuration is the yardstick.
type contender struct {
	Name string `json:"name"`
	// Command is the program's path and its arguments, with the placeholders {kubeconfig}, {namespace}, {secret},
	// {mutating}, {validating}, {dns} and {dir}, the last a new folder for each run.
	Command []string `json:"command"`
	// Then is a second command that belongs to the run, and starts when the first has succeeded.
	Then []string `json:"then"`
	// CAKey, CertKey and KeyKey are what the Secret has the CA, the certificate and the key under, if not the usual names.
	CAKey   string `json:"caKey"`
	CertKey string `json:"certKey"`
	KeyKey  string `json:"keyKey"`
	// SecretOnly says that the CA is not put into the webhook configurations.
	SecretOnly bool `json:"secretOnly"`
	// NoConcurrency says that one of several at once fails, so that no crowd is made of it.
	NoConcurrency bool `json:"noConcurrency"`
	// peer says that it is measured for this run only.
	peer bool
}

func readContenders(path string) ([]contender, error) {
	all, err := decodeContenders(path)
	if err != nil {
		return nil, fmt.Errorf("reading the contenders of %s: %w", path, err)
	}
	if len(all) < 2 {
		return nil, errors.New("reading the contenders: a yardstick and one program to compare with it are needed")
	}
	return all, nil
}

func decodeContenders(path string) ([]contender, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []contender
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("there is something behind the list: take it away")
	}
	for i := range all {
		c := &all[i]
		if c.Name == "" || len(c.Command) == 0 {
			return nil, errors.New("each needs a name and a command")
		}
		c.CAKey, c.CertKey, c.KeyKey = cmp.Or(c.CAKey, "ca.crt"), cmp.Or(c.CertKey, "tls.crt"), cmp.Or(c.KeyKey, "tls.key")
	}
	return all, nil
}

// commands are those of a run, in their order, as they are configured.
func (c contender) commands() [][]string {
	if len(c.Then) == 0 {
		return [][]string{c.Command}
	}
	return [][]string{c.Command, c.Then}
}

// argvs are the commands for a site, with dir for the files.
func (c contender) argvs(s *site, kubeconfig, dir string) [][]string {
	r := strings.NewReplacer("{kubeconfig}", kubeconfig, "{namespace}", s.name, "{secret}", secretName,
		"{mutating}", s.name, "{validating}", s.name, "{dns}", s.dns(), "{dir}", dir)
	var all [][]string
	for _, command := range c.commands() {
		argv := make([]string, len(command))
		for i, arg := range command {
			argv[i] = r.Replace(arg)
		}
		all = append(all, argv)
	}
	return all
}

// writesFiles says whether a command takes the folder for them.
func (c contender) writesFiles() bool {
	for _, command := range c.commands() {
		if strings.Contains(strings.Join(command, " "), "{dir}") {
			return true
		}
	}
	return false
}

// lacks says what of the job the program leaves to others.
func (c contender) lacks() string {
	switch {
	case c.SecretOnly:
		return "Secret only"
	case !c.writesFiles():
		return "no files"
	default:
		return ""
	}
}

// size is that of the programs in bytes.
func (c contender) size() (int64, error) {
	var size int64
	seen := map[string]bool{}
	for _, command := range c.commands() {
		program := command[0]
		if seen[program] {
			continue
		}
		seen[program] = true
		info, err := os.Stat(program)
		if err != nil {
			return 0, fmt.Errorf("looking at the program of %s: %w", c.Name, err)
		}
		size += info.Size()
	}
	return size, nil
}
