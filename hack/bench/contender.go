package main

import (
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
}

func readContenders(path string) ([]contender, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the contenders: %w", err)
	}
	var all []contender
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("reading the contenders of %s: %w", path, err)
	}
	if len(all) < 2 {
		return nil, errors.New("reading the contenders: a yardstick and one program to compare with it are needed")
	}
	for _, c := range all {
		if c.Name == "" || len(c.Command) == 0 {
			return nil, fmt.Errorf("reading the contenders of %s: each needs a name and a command", path)
		}
	}
	return all, nil
}

// argv is the command for a site, with dir for the files.
func (c contender) argv(s *site, kubeconfig, dir string) []string {
	r := strings.NewReplacer("{kubeconfig}", kubeconfig, "{namespace}", s.name, "{secret}", secretName,
		"{mutating}", s.name, "{validating}", s.name, "{dns}", s.dns(), "{dir}", dir)
	argv := make([]string, len(c.Command))
	for i, arg := range c.Command {
		argv[i] = r.Replace(arg)
	}
	return argv
}

// size is that of the program in bytes.
func (c contender) size() (int64, error) {
	info, err := os.Stat(c.Command[0])
	if err != nil {
		return 0, fmt.Errorf("looking at the program of %s: %w", c.Name, err)
	}
	return info.Size(), nil
}
