package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// source is what images are built from.
type source struct {
	// chart and app are the versions of the chart and of Kthena in Chart.yaml, the one place that has them.
	chart string
	app   string
	// version is what the program reports.
	version string
	// revision is the commit, and empty without a repository.
	revision string
	// dirty says that files differ from those of the commit.
	dirty bool
	// time is that of every file and image.
	time time.Time
}

// versionText is what can be handed to the linker and be part of an image's tag.
var versionText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// readSource reads what the repository in the working directory says.
func readSource(ctx context.Context, version string) (source, error) {
	if !versionText.MatchString(version) {
		return source{}, fmt.Errorf("version %q is not allowed: use letters, digits, dots, hyphens, underscores and plus signs", version)
	}
	s := source{version: version}
	content, err := os.ReadFile(filepath.Join(chartDir, "Chart.yaml"))
	if err != nil {
		return source{}, fmt.Errorf("reading the chart's version (run this from the root of the repository): %w", err)
	}
	var chart struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(content, &chart); err != nil {
		return source{}, fmt.Errorf("reading the chart's version: %w", err)
	}
	s.chart, s.app = chart.Version, chart.AppVersion
	commit, gitErr := git(ctx, "log", "-1", "--format=%H %ct")
	revision, seconds, _ := strings.Cut(commit, " ")
	if gitErr == nil {
		changes, err := git(ctx, "status", "--porcelain")
		if err != nil {
			return source{}, err
		}
		s.revision, s.dirty = revision, changes != ""
	}
	if epoch, ok := os.LookupEnv("SOURCE_DATE_EPOCH"); ok {
		seconds = epoch
	} else if gitErr != nil {
		return source{}, fmt.Errorf(
			"finding the time of the last commit: %w: set SOURCE_DATE_EPOCH to the seconds since 1970 that files shall be dated to", gitErr,
		)
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || unix < 0 {
		return source{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds since 1970", seconds)
	}
	s.time = time.Unix(unix, 0).UTC()
	return s, nil
}

// checkRelease reports why an image of the source must not be released.
func (s source) checkRelease() error {
	want := "v" + s.chart
	switch {
	case s.dirty:
		return fmt.Errorf("version %s is no release: there are changes that are not committed", s.version)
	case s.revision == "":
		return errors.New("there is no release without a git repository that says what it is made of")
	case s.version != want:
		return fmt.Errorf("version %s is no release of chart %s: tag the commit %s", s.version, s.chart, want)
	}
	return nil
}

// git runs git and returns what it prints.
func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "", fmt.Errorf("git %s: %s", args[0], first)
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
