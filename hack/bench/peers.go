package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// peersFile has the ratios of the peers that the picture shows.
const peersFile = "hack/bench/peer-ratios.json"

// peerRatios are what is committed of a peer.
type peerRatios struct {
	// Name is what the tables call it, with what it does not do.
	Name   string   `json:"name"`
	Ratios baseline `json:"ratios"`
}

// writePeers writes the ratios of the peers to be committed, in their order. Without any it leaves those that are there.
func (r report) writePeers() error {
	var all []peerRatios
	for _, c := range r.Contenders {
		if c.peer {
			all = append(all, peerRatios{c.label(), c.Ratios.rounded()})
		}
	}
	if all == nil {
		return nil
	}
	return writeJSON(peersFile, all)
}

// readPeers reads the programs that are measured beside others, those of whose names none may be taken.
func readPeers(path string, others []contender) ([]contender, error) {
	peers, err := decodePeers(path, others)
	if err != nil {
		return nil, fmt.Errorf("reading the peers of %s: %w", path, err)
	}
	return peers, nil
}

func decodePeers(path string, others []contender) ([]contender, error) {
	peers, err := decodeContenders(path)
	if err != nil {
		return nil, err
	}
	if len(peers) == 0 {
		return nil, errors.New("there are none: name at least one")
	}
	taken := map[string]bool{}
	for _, c := range others {
		taken[c.Name] = true
	}
	for i := range peers {
		c := &peers[i]
		if taken[c.Name] {
			return nil, fmt.Errorf("the name %s is taken: choose another one", c.Name)
		}
		taken[c.Name] = true
		if c.SecretOnly && c.writesFiles() {
			return nil, fmt.Errorf("%s cannot both be secretOnly and write to {dir}: take one away", c.Name)
		}
		c.peer = true
		for _, command := range c.commands() {
			if command[0], err = program(filepath.Dir(path), command[0]); err != nil {
				return nil, fmt.Errorf("looking for the program of %s: %w: build it, or correct its path", c.Name, err)
			}
		}
	}
	return peers, nil
}

// program is the absolute path of a program that is named from a folder, and can be run.
func program(folder, name string) (string, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(folder, name)
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return exec.LookPath(path)
}
