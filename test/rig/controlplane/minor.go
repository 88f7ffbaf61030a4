package controlplane

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Minors are the minors of Kubernetes whose API server tests can run on, oldest first. The first is the oldest that the chart
// takes, the last is that of the group servers. Each of the others has a module of its own, hack/controlplane/kubernetes-MINOR.
var Minors = []string{"1.30", "1.37"}

// APIServer is a kube-apiserver that has been built.
type APIServer struct {
	// Path is that of the program.
	Path string
	// Version is what the module of the program says, such as v1.30.14.
	Version string
}

// EnsureAPIServer builds kube-apiserver of a minor unless it has been built. What it is doing goes to progress, as with [Ensure].
func EnsureAPIServer(ctx context.Context, minor string, progress io.Writer) (APIServer, error) {
	g, err := apiServer(minor)
	if err != nil {
		return APIServer{}, err
	}
	root, err := Root()
	if err != nil {
		return APIServer{}, err
	}
	version, err := g.version(filepath.Join(root, g.module))
	if err != nil {
		return APIServer{}, err
	}
	dir, err := g.ensure(ctx, progress)
	if err != nil {
		return APIServer{}, err
	}
	return APIServer{Path: filepath.Join(dir, "kube-apiserver"), Version: version}, nil
}

// apiServer returns the group that kube-apiserver of a minor belongs to.
func apiServer(minor string) (group, error) {
	i := slices.Index(Minors, minor)
	if i < 0 {
		return group{}, fmt.Errorf("there is no API server of Kubernetes %q: it must be one of %s", minor, strings.Join(Minors, ", "))
	}
	servers, err := lookup(Servers)
	if err != nil || i == len(Minors)-1 {
		return servers, err
	}
	return group{
		name:      "apiserver-" + minor,
		module:    servers.module + "-" + minor,
		programs:  map[string]string{"kube-apiserver": servers.programs["kube-apiserver"]},
		versioned: servers.versioned,
	}, nil
}
