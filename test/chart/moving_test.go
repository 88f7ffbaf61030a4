package chart

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
	"github.com/volcano-sh/kthena-certgen/test/rig/reader"
)

// The names in Kthena's own chart.
const (
	ownManager  = "kthena-controller-manager"
	ownRouter   = "kthena-router"
	ownMutating = "kthena-controller-manager-mutating-webhook"
)

var ownValidating = []string{"kthena-controller-manager-validating-webhook", "kthena-router-validating-webhook"}

// The page on moving over, from its first command to its last and back in between, as a reader types them. No admission request
// fails, and nothing of the user's is lost.
func TestMovingFromKthenasOwnChartFailsNoRequestAndLosesNothing(t *testing.T) {
	i := env.PrepareIn(t, "kthena-system")
	t.Cleanup(func() { forgetOwn(t) })
	own := map[string]any{"accessKey": "the user's", "secretKey": "own"}
	for key, server := range map[string]string{"controllerManagerCA": ownManager, "routerCA": ownRouter} {
		ca := i.CreateOwnSecret(t, server+"-webhook-certs", server+"-webhook."+i.Namespace+".svc")
		own[key] = base64.StdEncoding.EncodeToString(ca)
	}
	i.CreateOwnSecret(t, "kthena-router-tls", "llm.example.com")
	giveAddresses(t, i)
	ownChart := filepath.Join(env.Root, "test", "chart", "testdata", "kthena-own")
	_, err := i.Helm.Install(t.Context(), charttest.Release, ownChart, own, charttest.Wait)
	require.NoError(t, err)
	const edited = "scheduler: {}\nauth:\n  issuer: https://issuer.example.com\n"
	_, err = env.Client.CoreV1().ConfigMaps(i.Namespace).Patch(t.Context(), "kthena-router-config", types.MergePatchType,
		fmt.Appendf(nil, `{"data":{"routerConfiguration":%q}}`, edited), metav1.PatchOptions{})
	require.NoError(t, err)
	before := ofTheUser(t, i)
	require.Len(t, before, 5)

	shell := reader.New(t, env)
	page := shell.Page(t, "docs/moving-from-kthena.md")
	shell.Write(t, "values.yaml", valuesOf(t, page, "before"))
	require.NoError(t, os.Symlink(ownChart, filepath.Join(shell.Dir, "kthena-v1.0.0.tgz")), "what helm pull leaves")
	follow := func(section string) {
		t.Helper()
		shell.Follow(t, page, section, func(markdown.Block) {})
	}
	p := probe.Start(t.Context(), ownTargets(t, i), probeRate)
	follow("before")
	follow("moving")
	pods := ownPods(t, i)
	require.Len(t, pods, 2)
	follow("going-back")
	ownTargets(t, i)
	assert.Equal(t, pods, ownPods(t, i), "the old servers have run all the time")
	requireConfiguration(t, i, "routerConfiguration", edited)
	assert.Equal(t, before, ofTheUser(t, i), "all is as it was")
	follow("moving")
	assert.Equal(t, before, ofTheUser(t, i), "nothing has changed")
	follow("taking-the-old-servers-away")
	report := p.Stop()
	requireAllFollowed(t, page, "before", "moving", "going-back", "taking-the-old-servers-away")

	t.Logf("%s: %q", charttest.Figures(report), report.Errors)
	assert.Positive(t, report.Sent)
	assert.LessOrEqual(t, report.Closed, report.ClosedLimit(), "%q", report.Errors)
	for _, text := range report.Errors {
		if probe.Closed(text) {
			continue
		}
		assert.Contains(
			t, text, "denied the request", "an invalid object may be refused by the new entry instead of the old, and nothing else may happen",
		)
		assert.NotContains(t, text, "failed calling webhook")
	}
	i.RequireAdmission(t, charttest.Entries)
	i.RequireNoRestarts(t)
	for _, name := range []string{ownManager, ownRouter} {
		delete(before, "Secret "+name+"-webhook-certs") // as the last step says
	}
	assert.Equal(t, before, ofTheUser(t, i))
	requireConfiguration(t, i, "routerConfiguration", edited)
	requireNothingOfKthenasChart(t, i)
}

// valuesOf are those that a section of the page shows.
func valuesOf(t *testing.T, page markdown.Page, section string) string {
	t.Helper()
	for _, block := range page.Blocks {
		if block.Section == section && block.Mark == "values" {
			return block.Text
		}
	}
	require.Fail(t, "the section shows no values", section)
	return ""
}

// requireAllFollowed requires that no commands of the page stand in another section.
func requireAllFollowed(t *testing.T, page markdown.Page, sections ...string) {
	t.Helper()
	for _, block := range page.Blocks {
		if block.Language == "sh" {
			require.Contains(t, sections, block.Section, page.Position(block.Part))
		}
	}
}

// giveAddresses does what the controller of a cloud does, until the test is over: a Service of type LoadBalancer gets an address,
// and one that is no longer of that type loses it.
func giveAddresses(t *testing.T, i *charttest.Installation) {
	t.Helper()
	services := env.Client.CoreV1().Services(i.Namespace)
	w, err := services.Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	given := 0
	var done sync.WaitGroup
	done.Go(func() {
		for event := range w.ResultChan() {
			s, ok := event.Object.(*corev1.Service)
			wants := ok && s.Spec.Type == corev1.ServiceTypeLoadBalancer
			if !ok || event.Type == watch.Deleted || wants == (len(s.Status.LoadBalancer.Ingress) > 0) {
				continue
			}
			s.Status.LoadBalancer.Ingress = nil
			if wants {
				given++
				s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: fmt.Sprintf("192.0.2.%d", given)}}
			}
			// Where somebody else has changed the Service meanwhile, there is another event.
			_, _ = services.UpdateStatus(t.Context(), s, metav1.UpdateOptions{})
		}
	})
	t.Cleanup(func() {
		w.Stop()
		done.Wait()
	})
}

// tlsSecrets are those with keys, by name.
func tlsSecrets(t *testing.T, i *charttest.Installation) map[string]corev1.Secret {
	t.Helper()
	list, err := env.Client.CoreV1().Secrets(i.Namespace).List(
		t.Context(), metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeTLS)},
	)
	require.NoError(t, err)
	byName := map[string]corev1.Secret{}
	for _, s := range list.Items {
		byName[s.Name] = s
	}
	return byName
}

// ofTheUser is what the user has and must not lose: Secrets, with all that they hold, and the router's address.
func ofTheUser(t *testing.T, i *charttest.Installation) map[string]any {
	t.Helper()
	found := map[string]any{}
	secrets := tlsSecrets(t, i)
	downloader, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), "downloader-secrets", metav1.GetOptions{})
	require.NoError(t, err, "the Secret of the downloader is lost")
	secrets[downloader.Name] = *downloader
	for name, s := range secrets {
		if s.Labels["app.kubernetes.io/managed-by"] != "kthena-certgen" {
			found["Secret "+name] = []any{s.UID, s.Data}
		}
	}
	s, err := env.Client.CoreV1().Services(i.Namespace).Get(t.Context(), ownRouter, metav1.GetOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, s.Status.LoadBalancer.Ingress, "the router has lost its address")
	found["address"] = s.Status.LoadBalancer.Ingress[0].IP
	return found
}

// ownPods are the names of the old servers' pods that are not about to go.
func ownPods(t *testing.T, i *charttest.Installation) []string {
	t.Helper()
	pods, err := env.Client.CoreV1().Pods(i.Namespace).List(
		t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of!=kthena"},
	)
	require.NoError(t, err)
	var names []string
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// requireConfiguration requires that the router's configuration is the user's.
func requireConfiguration(t *testing.T, i *charttest.Installation, key, want string) {
	t.Helper()
	c, err := env.Client.CoreV1().ConfigMaps(i.Namespace).Get(t.Context(), "kthena-router-config", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, want, c.Data[key])
}

// requireNothingOfKthenasChart requires that the old servers are gone, their pods too.
func requireNothingOfKthenasChart(t *testing.T, i *charttest.Installation) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pods, err := env.Client.CoreV1().Pods(i.Namespace).List(
			t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of!=kthena"},
		)
		require.NoError(c, err)
		assert.Empty(c, pods.Items)
	}, charttest.Wait.Timeout, 100*time.Millisecond)
	_, err := env.Client.AppsV1().Deployments(i.Namespace).Get(t.Context(), ownManager, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
}

// ownTargets are the webhook entries of Kthena's own chart, once the API server asks them.
func ownTargets(t *testing.T, i *charttest.Installation) []probe.Target {
	t.Helper()
	var targets []probe.Target
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets = i.Targets(t)
		require.Len(c, targets, charttest.Entries)
		for _, target := range targets {
			assert.True(
				c, strings.HasPrefix(target.Configuration, "kthena-controller-manager-") || strings.HasPrefix(target.Configuration, "kthena-router-"),
			)
			assert.NoError(c, target.Send(t.Context(), true))
			assert.NoError(c, target.Send(t.Context(), false))
		}
	}, charttest.Wait.Timeout, 50*time.Millisecond)
	return targets
}

// forgetOwn removes the old webhooks that a test that has failed in the middle leaves, so that they do not refuse the others' objects.
func forgetOwn(t *testing.T) {
	t.Helper()
	c, ctx, o := env.Client.AdmissionregistrationV1(), context.WithoutCancel(t.Context()), metav1.DeleteOptions{}
	errs := []error{c.MutatingWebhookConfigurations().Delete(ctx, ownMutating, o)}
	for _, name := range ownValidating {
		errs = append(errs, c.ValidatingWebhookConfigurations().Delete(ctx, name, o))
	}
	for _, err := range errs {
		if !apierrors.IsNotFound(err) {
			assert.NoError(t, err)
		}
	}
}
