// Package hack tests what the modules of this repository have in common.
package hack

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	required = regexp.MustCompile(`(?m)^(?:require )?\t?(\S+) (v\S+)( // indirect)?$`)
	replaced = regexp.MustCompile(`(?m)^(?:replace )?\t?(\S+)(?: v\S+)? => `)
)

// versions are those of what the module in a folder requires and does not replace: of all, or of what its own packages import.
func versions(t *testing.T, dir string, all bool) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", dir, "go.mod"))
	require.NoError(t, err)
	found := map[string]string{}
	for _, match := range required.FindAllStringSubmatch(string(text), -1) {
		if all || match[3] == "" {
			found[match[1]] = match[2]
		}
	}
	for _, match := range replaced.FindAllStringSubmatch(string(text), -1) {
		delete(found, match[1])
	}
	require.NotEmpty(t, found)
	return found
}

// What two modules need in one version is compiled once, and what is tested with a library is shipped with the same.
func TestModulesHaveTheVersionsOfTheRoot(t *testing.T) {
	t.Parallel()
	own := versions(t, ".", true)
	for dir, all := range map[string]bool{
		"hack/controlplane/certmanager": true,
		"hack/controlplane/clients":     true,
		"hack/controlplane/kubernetes":  true,
		"hack/image":                    true,
		"hack/plot":                     true,
		"test/gitops":                   true,
		// Helm 4 asks for newer versions of what only it imports.
		"test/helm4": false,
	} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			for path, version := range versions(t, dir, all) {
				if want, ok := own[path]; ok {
					assert.Equal(t, want, version, "%s: set it in both go.mod and run make tidy", path)
				}
			}
		})
	}
}

// Whoever imports a package of pkg inherits what the root requires.
func TestTheRootRequiresNothingForImagesAndGraphs(t *testing.T) {
	t.Parallel()
	own := versions(t, ".", true)
	for _, path := range []string{"github.com/CycloneDX/cyclonedx-go", "github.com/google/go-containerregistry", "gonum.org/v1/plot"} {
		assert.Empty(t, own[path], path)
	}
}
