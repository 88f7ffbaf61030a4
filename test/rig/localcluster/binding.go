package localcluster

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
)

// binding leads the ports that a program is told to listen on, by an argument such as --metrics-bind-address=:8080, to free
// ones of this machine: all pods share it.
type binding struct{ ports map[string]string }

func newBinding() *binding { return &binding{ports: map[string]string{}} }

// listens matches an argument that is an address with a port of every interface.
var listens = regexp.MustCompile(`^(--[a-z-]+-address=):(\d+)$`)

// translate returns the argument with an address of this machine.
func (b *binding) translate(arg string) (string, error) {
	match := listens.FindStringSubmatch(arg)
	if match == nil {
		return arg, nil
	}
	// The port is free a moment later, too, unless somebody takes just this one: the kernel hands them out in turn.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	b.ports[match[2]] = listener.Addr().String()
	return match[1] + b.ports[match[2]], listener.Close()
}

// write writes the file in which other programs say themselves where they listen, if any port was led elsewhere.
func (b *binding) write(path string) error {
	if len(b.ports) == 0 {
		return nil
	}
	text, err := json.Marshal(b.ports)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("writing the ports of a process: %w", err)
	}
	return nil
}
