package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadInputIsOneLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"a platform that is none": {
			[]string{"-platforms", "foo"}, nil, `platform "foo" is not known: it must be one of linux/amd64, linux/arm64`,
		},
		"a platform that nobody has tried": {
			[]string{"-platforms", "linux/amd64,linux/s390x"}, nil,
			`platform "linux/s390x" is not known: it must be one of linux/amd64, linux/arm64`,
		},
		"no platform": {
			[]string{"-platforms", ""}, nil, `platform "" is not known: it must be one of linux/amd64, linux/arm64`,
		},
		"a program that is none": {
			[]string{"router"}, nil, `there is no program "router": it must be one of kthena-certgen, kthena-controller-manager, kthena-router`,
		},
		"a version that would add linker flags": {
			[]string{"-version", "v1 -X a=b"}, nil,
			`version "v1 -X a=b" is not allowed: use letters, digits, dots, hyphens, underscores and plus signs`,
		},
		"a time that is none": {
			nil, map[string]string{"SOURCE_DATE_EPOCH": "today"}, `SOURCE_DATE_EPOCH "today" is not a number of seconds since 1970`,
		},
		"git that is missing": {
			nil, map[string]string{"PATH": ""},
			`finding the time of the last commit: git log: exec: "git": executable file not found in $PATH: set SOURCE_DATE_EPOCH to the seconds ` +
				`since 1970 that files shall be dated to`,
		},
		"a release of changed files": {
			[]string{"-release", "-version", "v0.1.0"}, nil, `version v0.1.0 is no release: there are changes that are not committed`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			newRepository(t)
			require.NoError(t, os.WriteFile("changed", nil, 0o600))
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			err := run(t.Context(), append([]string{"-out", "out"}, tc.args...), io.Discard, io.Discard)
			require.EqualError(t, err, tc.want)
			assert.NoDirExists(t, "out", "nothing is written")
		})
	}
}

func TestAReleaseIsTheTaggedCommitOfTheChartsVersion(t *testing.T) {
	newRepository(t)
	for version, want := range map[string]string{
		"v0.1.0":           "",
		"v0.1.0-1-g123456": "version v0.1.0-1-g123456 is no release of chart 0.1.0: tag the commit v0.1.0",
		"v0.2.0":           "version v0.2.0 is no release of chart 0.1.0: tag the commit v0.1.0",
	} {
		s, err := readSource(t.Context(), version)
		require.NoError(t, err)
		assert.Len(t, s.revision, 40)
		if err := s.checkRelease(); want == "" {
			assert.NoError(t, err)
		} else {
			assert.EqualError(t, err, want)
		}
	}
}

func TestWithoutARepositoryThereIsAnImageButNoRelease(t *testing.T) {
	newRepository(t)
	require.NoError(t, os.RemoveAll(".git"))
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(t.TempDir()))
	t.Setenv("SOURCE_DATE_EPOCH", epoch)
	s, err := readSource(t.Context(), "v0.1.0")
	require.NoError(t, err)
	assert.NotContains(t, labels(programs[0], s), "org.opencontainers.image.revision")
	assert.EqualError(t, s.checkRelease(), "there is no release without a git repository that says what it is made of")
}

func TestAnImageOfChangedFilesDoesNotNameACommit(t *testing.T) {
	s := source{revision: "0123456789abcdef0123456789abcdef01234567"}
	assert.Equal(t, s.revision, labels(programs[0], s)["org.opencontainers.image.revision"])
	s.dirty = true
	assert.NotContains(t, labels(programs[0], s), "org.opencontainers.image.revision")
}

func TestAFolderThatIsNoLayoutIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600))
	require.EqualError(t, checkLayout(dir), dir+" is in the way and is no OCI layout: remove it")
}

// newRepository makes the working directory a repository with a chart of version 0.1.0 and one commit.
func newRepository(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(chartDir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(chartDir, "Chart.yaml"), []byte("version: 0.1.0\nappVersion: v1.0.0\n"), 0o600))
	for _, args := range [][]string{
		{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a"},
	} {
		out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

func TestTheChartAsksForTheseImages(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	t.Setenv("SOURCE_DATE_EPOCH", epoch)
	s, err := readSource(t.Context(), "devel")
	require.NoError(t, err)
	var want []string
	for _, p := range programs {
		want = append(want, p.reference(s))
	}
	// It is what the tests of charts hold the render against.
	rendered, err := os.ReadFile(filepath.Join("charts", "testdata", "defaults.golden.yaml"))
	require.NoError(t, err)
	var got []string
	for _, match := range regexp.MustCompile(`(?m)^ +image: "?([^"\n]+)"?$`).FindAllStringSubmatch(string(rendered), -1) {
		got = append(got, match[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	assert.Equal(t, want, slices.Compact(got))
}

func TestTheDockerfileBuildsTheSameImage(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	dockerfile := strings.ReplaceAll(string(text), "\\\n", "")
	for _, line := range []string{
		"USER " + user, `ENTRYPOINT ["/kthena-certgen"]`, "WORKDIR /", "FROM scratch", "hack/image/passwd /image/etc/passwd",
		`-trimpath -buildvcs=false -tags ` + certgenTags +
			` -ldflags "-s -w -X main.version=$VERSION" -o /image/kthena-certgen ./cmd/kthena-certgen`,
	} {
		assert.Contains(t, dockerfile, line)
	}
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	assert.Contains(t, string(makefile), "-tags "+certgenTags+"\n", "what is tested is what is shipped")
	want := labels(programs[0], source{version: "$VERSION", revision: "$REVISION"})
	// Docker records the time of a build itself.
	delete(want, "org.opencontainers.image.created")
	got := map[string]string{}
	for _, match := range regexp.MustCompile(`(org\.opencontainers\.image\.\w+)="([^"]*)"`).FindAllStringSubmatch(dockerfile, -1) {
		got[match[1]] = match[2]
	}
	assert.Equal(t, want, got)
	gomod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod)
	assert.Contains(t, dockerfile, "golang:"+string(goVersion[1])+" ")
}
