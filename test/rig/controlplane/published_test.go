package controlplane

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// site stands in for where the binaries are published: an index, and one archive that the index says the hash of.
type site struct {
	*httptest.Server
	asked atomic.Int64
}

// newSite serves an archive with the named programs as that of a version. corrupt makes it another than the index says.
func newSite(t *testing.T, version string, corrupt bool, programs ...string) *site {
	t.Helper()
	var archive bytes.Buffer
	zip := gzip.NewWriter(&archive)
	files := tar.NewWriter(zip)
	for _, name := range programs {
		text := "the published " + name
		require.NoError(
			t, files.WriteHeader(&tar.Header{Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}),
		)
		_, err := files.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, files.Close())
	require.NoError(t, zip.Close())
	sum := sha512.Sum512(archive.Bytes())
	if corrupt {
		sum[0]++
	}
	s := &site{}
	name := fmt.Sprintf("envtest-v%s-%s-%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		switch r.URL.Path {
		case "/index":
			fmt.Fprintf(
				w, "releases:\n  v%s:\n    %s:\n      hash: %s\n      selfLink: %s/archive\n", version, name, hex.EncodeToString(sum[:]), s.URL,
			)
		case "/archive":
			_, _ = w.Write(archive.Bytes())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestPublishedServers(t *testing.T) {
	servers, err := lookup(Servers)
	require.NoError(t, err)
	root, err := Root()
	require.NoError(t, err)
	// The tool's store is below the home, and so are Go's caches, which stay.
	caches, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOMODCACHE").Output()
	require.NoError(t, err)
	cache, modules, _ := strings.Cut(strings.TrimSpace(string(caches)), "\n")
	// fill fills a folder from the site, by a tool whose store is the folder data.
	fill := func(t *testing.T, index, data string, patience time.Duration) (ok bool, dir, told string) {
		t.Helper()
		t.Setenv("XDG_DATA_HOME", data)
		t.Setenv("HOME", data)
		t.Setenv("GOCACHE", cache)
		t.Setenv("GOMODCACHE", modules)
		dir = t.TempDir()
		var progress bytes.Buffer
		ok, err := published{
			module: filepath.Join(root, envtestModule), index: index, patience: patience,
		}.fill(t.Context(), servers, "v1.37.2", dir, &progress)
		require.NoError(t, err)
		return ok, dir, progress.String()
	}
	const patient = time.Minute // a busy machine is no reason to give up a server that answers

	t.Run("are downloaded, and found in the tool's store without asking again", func(t *testing.T) {
		s := newSite(t, "1.37.0", false, "etcd", "kube-apiserver", "kubectl")
		data := t.TempDir()
		ok, dir, told := fill(t, s.URL+"/index", data, patient)
		require.True(t, ok, told)
		assert.Equal(t, "downloading kube-apiserver and etcd 1.37.x by setup-envtest\n", told)
		text, err := os.ReadFile(filepath.Join(dir, "kube-apiserver"))
		require.NoError(t, err)
		assert.Equal(t, "the published kube-apiserver", string(text))
		info, err := os.Stat(filepath.Join(dir, "etcd"))
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&0o100, "it can be run")

		asked := s.asked.Load()
		ok, _, told = fill(t, s.URL+"/index", data, patient)
		assert.True(t, ok)
		assert.Contains(t, told, "using the kube-apiserver and etcd that setup-envtest has stored in "+data)
		assert.Equal(t, asked, s.asked.Load())
	})

	for _, tc := range []struct {
		name string
		site func(t *testing.T) *site
		// told is part of what is said; nothing is said where it is empty.
		told string
	}{
		{"of another minor are not taken", func(t *testing.T) *site { return newSite(t, "1.36.2", false, "etcd", "kube-apiserver") }, ""},
		{"with another hash than the index says are not taken", func(t *testing.T) *site {
			return newSite(t, "1.37.0", true, "etcd", "kube-apiserver")
		},
			"they are built instead"},
		{
			"without etcd are not taken", func(t *testing.T) *site { return newSite(t, "1.37.0", false, "kube-apiserver") },
			"etcd: no such file or directory; they are built instead",
		},
		{"are not waited for where nobody answers", func(t *testing.T) *site {
			s := newSite(t, "1.37.0", false)
			s.Close()
			return s
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ok, _, told := fill(t, tc.site(t).URL+"/index", t.TempDir(), patient)
			assert.False(t, ok)
			if tc.told == "" {
				assert.Empty(t, told)
			}
			assert.Contains(t, told, tc.told)
		})
	}

	t.Run("are not waited for where the index never answers", func(t *testing.T) {
		silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		t.Cleanup(silent.Close)
		ok, _, told := fill(t, silent.URL+"/index", t.TempDir(), time.Second)
		assert.False(t, ok)
		assert.Empty(t, told)
	})
}
