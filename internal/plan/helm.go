package plan

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
)

// helmRelease is the release as Helm has stored it.
type helmRelease struct {
	revision int
	chart    string
	values   map[string]any
	// applied says how: "ssa" is on the server's side, "csa" on the client's, both by Helm 4. Helm 3 does not say.
	applied string
	// failed says that Helm has begun a later revision, which has failed: the objects may be half of either.
	failed bool
}

// lookAtHelm reads the release.
func (f *facts) lookAtHelm(ctx context.Context) error {
	ns := f.report.Namespace
	var stored list
	query := url.Values{"labelSelector": {"owner=helm,status=deployed,name=" + f.report.Release}}
	if _, err := f.get(ctx, resource.Secrets.Path(ns, ""), query, &stored); err != nil {
		return err
	}
	for _, s := range stored.Items {
		revision, _ := strconv.Atoi(s.Metadata.Labels["version"])
		if revision < f.helm.revision {
			continue
		}
		if err := f.helm.read(s.Data["release"]); err != nil {
			return fmt.Errorf("reading what Helm has stored in secret %s/%s: %w", ns, s.Metadata.Name, err)
		}
		f.helm.revision = revision
	}
	if err := f.lookAtLast(ctx); err != nil || f.helm.revision == 0 {
		return err
	}
	by := map[string]string{"": "Helm 3", "csa": "Helm 4 on the client's side", "ssa": "Helm 4"}[f.helm.applied]
	f.found = append(f.found, fmt.Sprintf("revision %d of chart %s, by %s", f.helm.revision, f.helm.chart, by))
	return nil
}

// lookAtLast looks for revisions that Helm has begun and not deployed.
func (f *facts) lookAtLast(ctx context.Context) error {
	r, ns := f.report.Release, f.report.Namespace
	var others list
	query := url.Values{"labelSelector": {"owner=helm,name=" + r + ",status notin (deployed,superseded)"}}
	if _, err := f.get(ctx, resource.Secrets.Path(ns, ""), query, &others); err != nil {
		return err
	}
	last, name, status := 0, "", ""
	for _, s := range others.Items {
		if revision, _ := strconv.Atoi(s.Metadata.Labels["version"]); revision > last {
			last, name, status = revision, s.Metadata.Name, s.Metadata.Labels["status"]
		}
	}
	refuse := func(format string, args ...any) { f.refused = append(f.refused, fmt.Sprintf(format, args...)) }
	switch {
	case strings.HasPrefix(status, "pending-"):
		refuse("revision %d of release %s is %s: wait until Helm has ended; if Helm was killed, take that revision away: "+
			"%s delete secret %s --namespace %s", last, r, status, f.kubectl(), name, ns)
	case f.helm.revision == 0 && last > 0:
		refuse("Helm has no revision of release %s in namespace %s that is deployed, the last one is %s: bring it to work by helm "+
			"upgrade first, or uninstall it", r, ns, status)
	case f.helm.revision == 0:
		refuse("Helm knows no release %s in namespace %s: whoever applies the chart, such as Argo CD, Flux or kubectl, has to change "+
			"global.certManagementMode; for manual mode after kthena-certgen ca-bundle --add", r, ns)
	case last > f.helm.revision:
		f.helm.failed = true
		f.notes = append(f.notes, fmt.Sprintf(
			"revision %d is %s: the plan goes by revision %d, the last that was deployed", last, status, f.helm.revision,
		))
	}
	return nil
}

// read decodes what Helm stores: JSON, compressed, in base64.
func (h *helmRelease) read(data []byte) error {
	packed, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, 64<<20))
	if err != nil {
		return err
	}
	var stored struct {
		Applied string `json:"apply_method"`
		Config  map[string]any
		Chart   struct {
			Metadata struct{ Name, Version string }
		}
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	h.applied, h.values, h.chart = stored.Applied, stored.Config, stored.Chart.Metadata.Name+"-"+stored.Chart.Metadata.Version
	return nil
}
