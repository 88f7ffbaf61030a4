package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/hack/bench/usage"
)

// Not parallel: the launcher is told from the root of the repository. Here it is a script that starts nothing, and whose run fails if
// it is to start a program called bad.
func TestARunOfTwoCommandsIsBothOrFails(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Dir(spawn), 0o755))
	const script = `#!/bin/sh
exit=0
if [ "$1" = bad ]; then exit=3; echo its reason >&2; fi
echo '{"wall": 2, "cpu": 1, "rss": 5, "exit": '$exit'}'
`
	require.NoError(t, os.WriteFile(spawn, []byte(script), 0o755))
	for name, tc := range map[string]struct {
		contender contender
		want      usage.Usage
		err       string
	}{
		"one command":  {contender{Command: []string{"good"}}, usage.Usage{Wall: 2, CPU: 1, RSS: 5}, ""},
		"two commands": {contender{Command: []string{"good"}, Then: []string{"good"}}, usage.Usage{Wall: 4, CPU: 2, RSS: 5}, ""},
		"one that fails first": {
			contender{Name: "one", Command: []string{"bad", "create"}, Then: []string{"good"}}, usage.Usage{},
			"running one: bad create: exit code 3: its reason\n",
		},
		"one that fails then": {
			contender{Name: "one", Command: []string{"good"}, Then: []string{"bad", "patch", "{secret}"}}, usage.Usage{Wall: 2, CPU: 1, RSS: 5},
			"running one: bad patch webhook-certs: exit code 3: its reason\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{contenders: []contender{tc.contender}, sites: []*site{{name: "here"}}, dir: t.TempDir()}
			got, _, err := b.launch(t.Context(), 0, "kubeconfig")
			assert.Equal(t, tc.want, got)
			if tc.err == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tc.err)
		})
	}
}
