//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// Flags, after -args. Images that are not given are the chart's own, which the stand-in's are named like (make standin-images).
var (
	chart             = flag.String("chart", filepath.Join("..", "..", "charts", "kthena"), "folder or package of the chart")
	certgen           = flag.String("certgen", "", "image of kthena-certgen, NAME:TAG")
	controllerManager = flag.String("controller-manager", "", "image of the stand-in for Kthena's controller-manager, NAME:TAG")
	router            = flag.String("router", "", "image of the stand-in for Kthena's router, NAME:TAG")
)

// timeout bounds each wait for the cluster: a rolling restart of nine pods takes more than a minute on a small one.
const timeout = 5 * time.Minute

// env is the cluster that the current context of the kubeconfig leads to.
var env *charttest.Environment

// modes are those that the cluster can do.
var modes = []string{charttest.Auto, charttest.Manual}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(context.Background(), m))
}

func run(ctx context.Context, m *testing.M) (code int) {
	e, disconnect, err := charttest.Connect(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: error:", err)
		return 1
	}
	defer func() {
		if err := disconnect(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: error:", err)
			code = 1
		}
	}()
	env = e
	env.ChartPath, charttest.Wait.Timeout = *chart, timeout
	if env.HasCertManager() {
		modes = append(modes, charttest.CertManager)
	}
	version, err := env.Client.Discovery().ServerVersion()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: error: asking the cluster for its version:", err)
		return 1
	}
	fmt.Printf("Kubernetes %s on %s, modes %s\n", version.GitVersion, env.Config.Host, strings.Join(modes, ", "))
	return m.Run()
}

// withImages lays the images that were given over values.
func withImages(values map[string]any) map[string]any {
	set := func(image string, path ...string) {
		if image == "" {
			return
		}
		i := strings.LastIndex(image, ":")
		var below any = map[string]any{"image": map[string]any{"repository": image[:max(i, 0)], "tag": image[i+1:]}}
		for _, key := range slices.Backward(path) {
			below = map[string]any{key: below}
		}
		values = charttest.Merged(values, below.(map[string]any))
	}
	set(*certgen, "global", "certgen")
	set(*controllerManager, "registry", "controllerManager")
	set(*controllerManager, "workload", "controllerManager")
	set(*router, "networking", "kthenaRouter")
	return values
}
