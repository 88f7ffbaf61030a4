// Package workflows tests what the linter of GitHub's workflows does not ask for.
package workflows

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// workflow is the part of one that matters here.
type workflow struct {
	// Permissions is nil without the key, and then every job gets the repository's default.
	Permissions *map[string]string
	Jobs        map[string]struct {
		Permissions    map[string]string
		TimeoutMinutes int `json:"timeout-minutes"`
		Steps          []struct {
			Uses string
			Run  string
			With map[string]any
		}
	}
}

// pinned is an action's line: a commit, which nobody can move, and the version that people read.
var pinned = regexp.MustCompile(`uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

func TestWorkflowsTrustNobodyMoreThanTheyMust(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", ".github", "workflows", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			for line := range strings.Lines(string(content)) {
				if strings.Contains(line, "uses:") {
					assert.Regexp(t, pinned, strings.TrimSpace(line))
				}
				if strings.Contains(line, "kindest/node") {
					assert.Regexp(t, `@sha256:[0-9a-f]{64}$`, strings.TrimSpace(line))
				}
			}
			var w workflow
			require.NoError(t, yaml.Unmarshal(content, &w))
			require.NotNil(t, w.Permissions, "permissions of the whole workflow")
			assert.Empty(t, *w.Permissions)
			for name, job := range w.Jobs {
				assert.Positive(t, job.TimeoutMinutes, "job %s waits for ever", name)
				if filepath.Base(file) == "release.yaml" && name == "publish" {
					assert.Equal(t, map[string]string{"contents": "write"}, job.Permissions)
					for _, step := range job.Steps {
						assert.NotContains(t, step.Uses, "checkout", "job publish may write, so it runs nothing of the repository")
					}
				} else {
					assert.Equal(t, "read", job.Permissions["contents"], "job %s", name)
				}
				for right := range job.Permissions {
					assert.True(t, right == "contents" || filepath.Base(file) == "release.yaml", "job %s has the permission %s", name, right)
				}
				for _, step := range job.Steps {
					assert.NotContains(t, step.Run, "${{", "an expression in a script of job %s can become part of the script", name)
					if strings.HasPrefix(step.Uses, "actions/checkout@") {
						assert.Equal(t, false, step.With["persist-credentials"], "job %s", name)
					}
				}
			}
		})
	}
}
