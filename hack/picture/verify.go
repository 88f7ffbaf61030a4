package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// exitBroken is verify's exit code for a release that is broken.
const exitBroken = 6

// drawVerify draws what verify prints of a release, before and after somebody has broken it.
func drawVerify(ctx context.Context) error {
	return onStage(ctx, nil, func(ctx context.Context, env *charttest.Environment) error {
		if err := recordVerify(ctx, env, "verify.svg", "What verify prints of a release that works", 0); err != nil {
			return err
		}
		if err := restoreAnotherBundle(ctx, env); err != nil {
			return err
		}
		const title = "What verify prints of a release with bundles that lack the CA, and without a controller"
		return recordVerify(ctx, env, "verify-findings.svg", title, exitBroken)
	})
}

// recordVerify runs verify as a user does, on a terminal.
func recordVerify(ctx context.Context, env *charttest.Environment, file, title string, code int) error {
	const columns = 164
	cmd := exec.CommandContext(ctx, env.Program("terminal"), "-still", "-o", filepath.Join(env.Root, "docs", file), "-title", title,
		"-columns", strconv.Itoa(columns), "-exit", strconv.Itoa(code), "--", "kthena-certgen", "verify", "--namespace", namespace)
	path := filepath.Join(env.Root, "bin") + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+env.Kubeconfig, "PATH="+path, "NO_COLOR=") // empty is as if there were none
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("recording verify for %s: %w", file, err)
	}
	return nil
}

// restoreAnotherBundle does what an old backup does: it puts back a configuration with the CA of another time. So that nothing heals
// it, the controller has been put to sleep.
func restoreAnotherBundle(ctx context.Context, env *charttest.Environment) error {
	scale := []byte(`{"spec":{"replicas":0}}`)
	deployments := env.Client.AppsV1().Deployments(namespace)
	if _, err := deployments.Patch(ctx, controller, types.MergePatchType, scale, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("scaling deployment %s/%s: %w", namespace, controller, err)
	}
	if err := awaitPods(ctx, env, controller, 0); err != nil {
		return err
	}
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	configurations := map[string]*admissionv1.ValidatingWebhookConfiguration{}
	for _, name := range []string{"kthena-registry-validating-webhook", "kthena-workload-validating-webhook"} {
		c, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading validating webhook configuration %s: %w", name, err)
		}
		configurations[name] = c
	}
	broken := configurations["kthena-registry-validating-webhook"]
	for i := range broken.Webhooks {
		broken.Webhooks[i].ClientConfig.CABundle = configurations["kthena-workload-validating-webhook"].Webhooks[0].ClientConfig.CABundle
	}
	if _, err := client.Update(ctx, broken, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("changing validating webhook configuration %s: %w", broken.Name, err)
	}
	targets, err := probe.Targets(ctx, env.Config, release, namespace)
	if err != nil {
		return err
	}
	return await(ctx, "the API server to have learned of the bundle", func(ctx context.Context) (bool, error) {
		// An object goes through the mutating entries too, so more fail than have the other bundle.
		failed := 0
		for _, t := range targets {
			if t.Send(ctx, true) != nil {
				failed++
			}
		}
		return failed >= len(broken.Webhooks), nil
	})
}
