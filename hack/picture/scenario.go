package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

const (
	// dueAge is the age at which certificates are renewed, so that they are twice; they live for ten years all the same.
	dueAge = 90 * time.Second
	// retireAfter is less than the ten minutes of the chart, so that the recording has it.
	retireAfter = 20 * time.Second
	// metricsPort is the controller's.
	metricsPort = 8080
	// refused is the Secret that is replaced by one that nobody can use.
	refused = "networking-webhook-certs-auto"
)

// recordingFile is where the recording is, from the root of the repository.
const recordingFile = "hack/picture/recording.json"

// record scrapes the controller while bundles get lost, certificates are renewed, and a Secret is replaced by somebody else's.
func record(ctx context.Context) error {
	values := map[string]any{"global": map[string]any{"certgen": map[string]any{
		"renewBefore": (gen.DefaultValidity - dueAge).String(),
		"controller":  map[string]any{"retireAfter": retireAfter.String()},
	}}}
	return onStage(ctx, values, func(ctx context.Context, env *charttest.Environment) error {
		its := labels.SelectorFromSet(labels.Set{"app.kubernetes.io/component": controller}).String()
		pods, err := env.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: its})
		if err != nil {
			return fmt.Errorf("listing pods of deployment %s/%s: %w", namespace, controller, err)
		}
		if len(pods.Items) != 1 {
			return fmt.Errorf("deployment %s/%s has %d pods, not one", namespace, controller, len(pods.Items))
		}
		pod := pods.Items[0]
		s := &scrapes{target: fmt.Sprintf("job=%q,namespace=%q,pod=%q", namespace+"/"+controller, namespace, pod.Name)}
		scraping, stop := context.WithCancel(ctx)
		scraped := make(chan error, 1)
		go func() {
			scraped <- s.scrape(scraping, func(ctx context.Context) (net.Conn, error) { return env.DialPod(ctx, pod.Status.PodIP, metricsPort) })
		}()
		err = happen(ctx, env)
		stop()
		if scrapeErr := <-scraped; err == nil {
			err = scrapeErr
		}
		if err != nil {
			return err
		}
		return s.recording().write(filepath.Join(env.Root, recordingFile))
	})
}

// happen lets everything happen that the dashboard has a panel for.
func happen(ctx context.Context, env *charttest.Environment) error {
	begun := time.Now()
	wipe := func(ctx context.Context) error { return wipeBundles(ctx, env, "kthena-registry-validating-webhook") }
	spoil := func(ctx context.Context) error { return spoilSecret(ctx, env) }
	for _, step := range []struct {
		after time.Duration
		name  string
		do    func(context.Context) error
	}{
		{15 * time.Second, "a bundle is wiped", wipe},
		{35 * time.Second, "and again", wipe},
		{55 * time.Second, "and again", wipe},
		// Meanwhile the certificates are renewed for the first time, and, a minute and a half after that, once more.
		{220 * time.Second, "a Secret is replaced", spoil},
		{240 * time.Second, "it is deleted, which the controller heals", func(ctx context.Context) error {
			return env.Client.CoreV1().Secrets(namespace).Delete(ctx, refused, metav1.DeleteOptions{})
		}},
		{265 * time.Second, "it is replaced again", spoil},
		{290 * time.Second, "", func(context.Context) error { return nil }},
	} {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Until(begun.Add(step.after))):
		}
		fmt.Println(step.after, step.name)
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wipeBundles takes the CA out of every entry of a validating webhook configuration.
func wipeBundles(ctx context.Context, env *charttest.Environment, name string) error {
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	c, err := client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading validating webhook configuration %s: %w", name, err)
	}
	for i := range c.Webhooks {
		c.Webhooks[i].ClientConfig.CABundle = nil
	}
	if _, err := client.Update(ctx, c, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("wiping validating webhook configuration %s: %w", name, err)
	}
	return nil
}

// spoilSecret replaces what a Secret of the controller's holds by what somebody else has made, badly.
func spoilSecret(ctx context.Context, env *charttest.Environment) error {
	secrets := env.Client.CoreV1().Secrets(namespace)
	s, err := secrets.Get(ctx, refused, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading secret %s/%s: %w", namespace, refused, err)
	}
	s.Labels, s.Annotations = nil, nil
	s.Data = map[string][]byte{corev1.TLSCertKey: []byte("not a certificate"), corev1.TLSPrivateKeyKey: []byte("not a key")}
	if _, err := secrets.Update(ctx, s, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("replacing secret %s/%s: %w", namespace, refused, err)
	}
	return nil
}
