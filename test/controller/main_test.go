// Package controller installs the chart on a real API server with the real cert-manager and leaves it alone while its
// certificates age, change, get lost and are tampered with, under load: nobody acts but the controller.
package controller

import (
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

const (
	replicas = 3
	// deployment is the controller's.
	deployment = "kthena-certgen"
	// patience is how long what the controller does may take on a busy machine; how long it took is measured.
	patience = 2 * time.Minute
)

// env is the cluster that the tests of this package share.
var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{CertManager: true}, &env) }

// settings are values of the controller.
func settings(values map[string]any) map[string]any {
	return map[string]any{"global": map[string]any{"certgen": map[string]any{"controller": values}}}
}

// quick are settings that make a controller as impatient as a test.
var quick = settings(map[string]any{"settle": "1s"})

// install installs the chart with three replicas of every component.
func install(t *testing.T, values ...map[string]any) *charttest.Installation {
	t.Helper()
	all := charttest.Merged(charttest.PerComponent(map[string]any{"replicas": replicas}), quick)
	for _, v := range values {
		all = charttest.Merged(all, v)
	}
	i := env.Prepare(t)
	t.Cleanup(func() { explain(t, i) })
	i.Install(t, all)
	return i
}

// explain logs what the controller says, after a test that has failed.
func explain(t *testing.T, i *charttest.Installation) {
	t.Helper()
	if !t.Failed() {
		return
	}
	pods, err := env.Client.CoreV1().Pods(i.Namespace).List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	if err != nil {
		t.Log(err)
		return
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			t.Logf("%s: ready %t, %d restarts, %+v", p.Name, c.Ready, c.RestartCount, c.State)
		}
		if p.Labels["app.kubernetes.io/component"] == deployment {
			log, err := env.Kubelet.Logs(i.Namespace, p.Name, "controller")
			t.Logf("%s (%v):\n%s", p.Name, err, log)
		}
	}
}

// deployments reads one.
func get(t *testing.T, i *charttest.Installation, name string) *appsv1.Deployment {
	d, err := env.Client.AppsV1().Deployments(i.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return d
}

// generations are those of the components' Deployments: each roll is one more.
func generations(t *testing.T, i *charttest.Installation) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, name := range charttest.Deployments {
		all[name] = get(t, i, name).Generation
	}
	return all
}

// secretOf is the Secret of a subchart's webhook, and what it holds.
func secretOf(t *testing.T, i *charttest.Installation, name string) (*corev1.Secret, gen.Validation) {
	s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return s, gen.Check(gen.Bundle{CA: s.Data["ca.crt"], Cert: s.Data["tls.crt"], Key: s.Data["tls.key"]}, nil, time.Now())
}

// fingerprint is that of the certificate that the Secret holds.
func fingerprint(t *testing.T, i *charttest.Installation, name string) string {
	_, r := secretOf(t, i, name)
	require.NotNil(t, r.Leaf)
	return gen.Fingerprint(r.Leaf)
}

// look is what verify says of the release.
func look(t *testing.T, i *charttest.Installation) (r verify.Report) {
	t.Helper()
	cmd := exec.CommandContext(
		t.Context(), env.Program("kthena-certgen"), "verify", "--kubeconfig", env.Kubeconfig, "--namespace", i.Namespace, "--output", "json",
	)
	out, _ := cmd.Output() // its exit code is what it has found
	require.NoError(t, json.Unmarshal(out, &r), "%s", out)
	return r
}

// served are the fingerprints of what the ready pods behind a Service serve.
func served(t *testing.T, i *charttest.Installation, service string) []string {
	t.Helper()
	var all []string
	for _, s := range look(t, i).Servers {
		for _, e := range s.Endpoints {
			if s.Name == service && e.Certificate != nil {
				all = append(all, e.Certificate.Fingerprint)
			}
		}
	}
	return all
}

// awaitServed waits until all pods behind a Service serve a certificate.
func awaitServed(t *testing.T, i *charttest.Installation, service, fingerprint string, n int) {
	t.Helper()
	want := make([]string, n)
	for k := range want {
		want[k] = fingerprint
	}
	require.Eventually(t, func() bool { return assert.ObjectsAreEqual(want, served(t, i, service)) }, patience, 250*time.Millisecond,
		"every pod of %s serves %s", service, fingerprint)
}

// events are the reasons of the controller's Events about an object.
func events(t *testing.T, i *charttest.Installation, kind, name string) map[string]string {
	list, err := env.Client.CoreV1().Events(i.Namespace).List(
		t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name},
	)
	require.NoError(t, err)
	found := map[string]string{}
	for _, e := range list.Items {
		if e.Source.Component == deployment {
			found[e.Reason] = e.Message
		}
	}
	return found
}

// patch changes a Deployment as a person would.
func patch(t *testing.T, i *charttest.Installation, name, body string) {
	t.Helper()
	_, err := env.Client.AppsV1().Deployments(i.Namespace).Patch(
		t.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{},
	)
	require.NoError(t, err)
}
