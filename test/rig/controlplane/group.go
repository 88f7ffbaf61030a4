// Package controlplane builds the programs of a local Kubernetes cluster from their published Go modules and finds them again.
//
// The results lie in bin/controlplane below the root of this repository, in folders named by a hash of everything that
// goes into them, so that nothing is built twice and nothing stale is found. Only the standard library is used, so that the
// command hack/controlplane starts at once on a machine that has compiled nothing yet.
package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names of the groups. The programs of a group are built together and lie in one folder.
const (
	// Servers are kube-apiserver and etcd.
	Servers = "servers"
	// Controllers is the program controllers: Kubernetes' own controllers for Deployments, endpoints, namespaces and the like.
	Controllers = "controllers"
	// CertManager is the program certmanager, cert-manager's controllers and CA injector, and the folder crds with the
	// definitions of cert-manager's kinds.
	CertManager = "certmanager"
	// Clients are the command-line programs helm and kubectl.
	Clients = "clients"
	// Flux are Flux' programs source-controller and helm-controller, and the folder crds with the definitions of their kinds.
	Flux = "flux"
	// ArgoCD is the program argocd, Argo CD's application controller and repository server, and the folder crds with the
	// definitions of their kinds.
	ArgoCD = "argocd"
)

// assetsEnv names a folder with kube-apiserver and etcd that is used instead of building them: the variable that
// controller-runtime's envtest and its tools go by.
const assetsEnv = "KUBEBUILDER_ASSETS"

// group is a set of programs that are built from one Go module.
type group struct {
	name     string
	module   string            // folder of the module, below the root of the repository
	programs map[string]string // file name to main package
	// versioned is the module whose version the programs report as Kubernetes', if any.
	versioned string
	// crds are the folders of definitions that are copied beside the programs, if any.
	crds     []definitions
	override string // environment variable that names a folder to use instead, if any
	// published says that Kubernetes publishes the programs for tests.
	published bool
	// onDemand keeps the group from being built unless it is named.
	onDemand bool
}

// definitions is the folder of a module that the group's module requires.
type definitions struct{ module, folder string }

var groups = []group{
	{
		name:   Servers,
		module: "hack/controlplane/kubernetes",
		programs: map[string]string{
			"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
			"etcd":           "go.etcd.io/etcd/server/v3",
		},
		versioned: "k8s.io/kubernetes",
		override:  assetsEnv,
		published: true,
	},
	{
		name:      Controllers,
		module:    "hack/controlplane/kubernetes",
		programs:  map[string]string{"controllers": "./controllers"},
		versioned: "k8s.io/kubernetes",
	},
	{
		name:     CertManager,
		module:   "hack/controlplane/certmanager",
		programs: map[string]string{"certmanager": "./certmanager"},
		crds:     []definitions{{"github.com/cert-manager/cert-manager", "deploy/crds"}},
	},
	{
		name:   Clients,
		module: "hack/controlplane/clients",
		programs: map[string]string{
			"helm":    "helm.sh/helm/v3/cmd/helm",
			"kubectl": "./kubectl",
		},
	},
	{
		name:   Flux,
		module: "hack/controlplane/flux",
		programs: map[string]string{
			"source-controller": "github.com/fluxcd/source-controller",
			"helm-controller":   "github.com/fluxcd/helm-controller",
		},
		crds: []definitions{
			{"github.com/fluxcd/source-controller", "config/crd/bases"},
			{"github.com/fluxcd/helm-controller", "config/crd/bases"},
		},
		onDemand: true,
	},
	{
		name:     ArgoCD,
		module:   "hack/controlplane/argocd",
		programs: map[string]string{"argocd": "./argocd"},
		crds:     []definitions{{"github.com/argoproj/argo-cd/v3", "manifests/crds"}},
		onDemand: true,
	},
}

// crdsDir is the name of the folder of definitions in the folder of a group.
const crdsDir = "crds"

// Groups returns the names of the groups that every test and the demo need.
func Groups() []string {
	var names []string
	for _, g := range groups {
		if !g.onDemand {
			names = append(names, g.name)
		}
	}
	return names
}

// Find returns the folder with the programs of a group, which must have been built.
func Find(name string) (string, error) {
	g, err := lookup(name)
	if err != nil {
		return "", err
	}
	if dir, ok, err := g.overridden(); ok {
		return dir, err
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := g.dir(root)
	if err != nil {
		return "", err
	}
	if err := g.complete(dir); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("finding the control plane's %s: not built yet: run `go run ./hack/controlplane` in %s", name, root)
	} else if err != nil {
		return "", err
	}
	return dir, nil
}

// lookup returns the group of that name.
func lookup(name string) (group, error) {
	i := slices.IndexFunc(groups, func(g group) bool { return g.name == name })
	if i < 0 {
		var names []string
		for _, g := range groups {
			names = append(names, g.name)
		}
		return group{}, fmt.Errorf("there is no group %q: it must be one of %s", name, strings.Join(names, ", "))
	}
	return groups[i], nil
}

// overridden returns the folder that the user wants to be used, if any.
func (g group) overridden() (dir string, ok bool, err error) {
	dir = os.Getenv(g.override)
	if g.override == "" || dir == "" {
		return "", false, nil
	}
	if err := g.complete(dir); err != nil {
		return "", true, fmt.Errorf("%s: %w", g.override, err)
	}
	return dir, true, nil
}

// complete reports as an error what is missing in dir.
func (g group) complete(dir string) error {
	want := g.names()
	if len(g.crds) > 0 {
		want = append(want, crdsDir)
	}
	for _, name := range want {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("finding the control plane's %s: %w", g.name, err)
		}
	}
	return nil
}

// names returns the file names of the programs, sorted.
func (g group) names() []string {
	var names []string
	for name := range g.programs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
