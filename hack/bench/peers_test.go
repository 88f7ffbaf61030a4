package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writePeersFile writes a file of peers into a new folder, beside a program called here and a file that is none.
func writePeersFile(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "here"), nil, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes"), nil, 0o644))
	path := filepath.Join(dir, "peers.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestPeersAreReadFromAFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want contender
	}{
		"with the usual keys, and its path from the folder of the file": {
			`[{"name": "one", "command": ["here", "{dir}"]}]`,
			contender{Name: "one", Command: []string{"DIR/here", "{dir}"}, CAKey: "ca.crt", CertKey: "tls.crt", KeyKey: "tls.key", peer: true},
		},
		"with an absolute path, which stays": {
			`[{"name": "one", "command": ["/bin/sh"]}]`,
			contender{Name: "one", Command: []string{"/bin/sh"}, CAKey: "ca.crt", CertKey: "tls.crt", KeyKey: "tls.key", peer: true},
		},
		"with two commands and keys of its own": {
			`[{"name": "one", "command": ["here", "create"], "then": ["./here", "patch"], "caKey": "ca", "certKey": "cert", "keyKey": "key"}]`,
			contender{
				Name: "one", Command: []string{"DIR/here", "create"}, Then: []string{"DIR/here", "patch"},
				CAKey: "ca", CertKey: "cert", KeyKey: "key", peer: true,
			},
		},
		"with less than the job": {
			`[{"name": "one", "command": ["here"], "secretOnly": true, "noConcurrency": true}]`,
			contender{
				Name: "one", Command: []string{"DIR/here"}, CAKey: "ca.crt", CertKey: "tls.crt", KeyKey: "tls.key",
				SecretOnly: true, NoConcurrency: true, peer: true,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writePeersFile(t, tc.text)
			peers, err := readPeers(path, []contender{{Name: "floor"}})
			require.NoError(t, err)
			for _, command := range tc.want.commands() {
				command[0] = strings.ReplaceAll(command[0], "DIR", filepath.Dir(path))
			}
			assert.Equal(t, []contender{tc.want}, peers)
		})
	}
}

func TestAFileOfPeersIsRefused(t *testing.T) {
	t.Parallel()
	const (
		lookingFor   = "looking for the program of one: exec: "
		remedy       = ": build it, or correct its path"
		missing      = lookingFor + `"DIR/gone": stat DIR/gone: no such file or directory` + remedy
		contradicted = "one cannot both be secretOnly and write to {dir}: take one away"
	)
	for name, tc := range map[string]struct{ text, want string }{
		"when it is no list":       {`{}`, "json: cannot unmarshal object into Go value of type []main.contender"},
		"when it is empty":         {`[]`, "there are none: name at least one"},
		"when it has two lists":    {`[] []`, "there is something behind the list: take it away"},
		"when a field is unknown":  {`[{"name": "one", "command": ["here"], "fresh": []}]`, `json: unknown field "fresh"`},
		"when a name is missing":   {`[{"command": ["here"]}]`, "each needs a name and a command"},
		"when there is no command": {`[{"name": "one", "then": ["here"]}]`, "each needs a name and a command"},
		"when a name is that of a contender": {
			`[{"name": "floor", "command": ["here"]}]`, "the name floor is taken: choose another one",
		},
		"when a name is there twice": {
			`[{"name": "one", "command": ["here"]}, {"name": "one", "command": ["here"]}]`, "the name one is taken: choose another one",
		},
		"when the program is missing":          {`[{"name": "one", "command": ["gone"]}]`, missing},
		"when the second command's is missing": {`[{"name": "one", "command": ["here"], "then": ["gone"]}]`, missing},
		"when an absolute path leads to a folder": {
			`[{"name": "one", "command": ["/"]}]`, lookingFor + `"/": is a directory` + remedy,
		},
		"when the program cannot be run": {
			`[{"name": "one", "command": ["notes"]}]`, lookingFor + `"DIR/notes": permission denied` + remedy,
		},
		"when it contradicts itself about {dir}": {
			`[{"name": "one", "command": ["here", "{dir}"], "secretOnly": true}]`, contradicted,
		},
		"when the second command contradicts that": {
			`[{"name": "one", "command": ["here"], "then": ["here", "{dir}"], "secretOnly": true}]`, contradicted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writePeersFile(t, tc.text)
			_, err := readPeers(path, []contender{{Name: "floor"}})
			want := strings.ReplaceAll(tc.want, "DIR", filepath.Dir(path))
			assert.EqualError(t, err, "reading the peers of "+path+": "+want)
		})
	}
	t.Run("when it is not there", func(t *testing.T) {
		t.Parallel()
		_, err := readPeers("gone.json", nil)
		assert.EqualError(t, err, "reading the peers of gone.json: open gone.json: no such file or directory")
	})
}

func TestTheCommittedContendersAreRead(t *testing.T) {
	t.Parallel()
	all, err := readContenders("contenders.json")
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, subject, all[1].Name)
	for _, c := range all {
		assert.False(t, c.peer)
		assert.Empty(t, c.lacks())
	}
}

// The manual's example is read as it stands, and shows every field.
func TestTheManualsExampleOfPeersIsRead(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/performance.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(\\[.*?)```").FindAllSubmatch(page, -1)
	require.Len(t, blocks, 1)
	example := blocks[0][1]
	path := writePeersFile(t, string(example))
	for _, program := range []string{"kube-webhook-certgen", "secret-only"} {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), program), nil, 0o755))
	}
	peers, err := readPeers(path, nil)
	require.NoError(t, err)
	require.Len(t, peers, 2)
	assert.Equal(t, "no files", peers[0].lacks())
	assert.Equal(t, "Secret only", peers[1].lacks())

	var known, shown, explained []string
	for i := range reflect.TypeFor[contender]().NumField() {
		if name, ok := reflect.TypeFor[contender]().Field(i).Tag.Lookup("json"); ok {
			known = append(known, name)
		}
	}
	var decoded []map[string]any
	require.NoError(t, json.Unmarshal(example, &decoded))
	for _, fields := range decoded {
		shown = slices.AppendSeq(shown, maps.Keys(fields))
	}
	slices.Sort(shown)
	assert.ElementsMatch(t, known, slices.Compact(shown), "in the example")
	_, table, _ := strings.Cut(string(page), "| field |")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			explained = append(explained, name[1])
		}
	}
	assert.ElementsMatch(t, known, explained, "in the table of fields")
}

func TestARunOfTwoCommandsHasTheirPlaceholdersFilled(t *testing.T) {
	t.Parallel()
	c := contender{
		Command: []string{"create", "--host={dns}", "--secret-name", "{secret}"},
		Then:    []string{"patch", "{mutating}", "{validating}", "{kubeconfig}", "{namespace}"},
	}
	assert.Equal(t, [][]string{
		{"create", "--host=webhook.here.svc", "--secret-name", "webhook-certs"}, {"patch", "here", "here", "config", "here"},
	}, c.argvs(&site{name: "here"}, "config", "dir"))
}

func TestTheSizeIsThatOfEveryProgramOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	require.NoError(t, os.WriteFile(one, make([]byte, 3), 0o755))
	require.NoError(t, os.WriteFile(two, make([]byte, 4), 0o755))
	for name, tc := range map[string]struct {
		then string
		want int64
	}{
		"of the one of both commands": {one, 3},
		"of two":                      {two, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size, err := contender{Command: []string{one, "create"}, Then: []string{tc.then, "patch"}}.size()
			require.NoError(t, err)
			assert.Equal(t, tc.want, size)
		})
	}
}
