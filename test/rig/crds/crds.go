// Package crds holds small definitions of the five Kthena kinds that have webhooks, for tests and the demo. The real ones come
// with Kthena. In the fields that these have they are as strict and as lax as those of Kthena v1.0.0; other fields they drop.
package crds

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml v0.4/*.yaml
var files embed.FS

// pollInterval is how often a definition is looked at until it is established, which takes the API server less than a second.
const pollInterval = 20 * time.Millisecond

// All returns the definitions of Kthena v1.0.0.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) { return read("*.yaml") }

// Before returns those that were others in Kthena v0.4, as they were.
func Before() ([]*apiextensionsv1.CustomResourceDefinition, error) { return read("v0.4/*.yaml") }

func read(pattern string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, fmt.Errorf("listing the definitions: %w", err)
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path.Base(name), err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, crd); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", path.Base(name), err)
		}
		all = append(all, crd)
	}
	return all, nil
}

// Install creates the definitions, leaves alone those that are there, and returns when the API server serves all of them or
// ctx ends.
func Install(ctx context.Context, config *rest.Config) error {
	all, err := All()
	if err != nil {
		return err
	}
	clients, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for definitions: %w", err)
	}
	client := clients.CustomResourceDefinitions()
	for _, crd := range all {
		if _, err := client.Create(ctx, crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating definition %s: %w", crd.Name, err)
		}
	}
	for _, crd := range all {
		err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
			live, err := client.Get(ctx, crd.Name, metav1.GetOptions{})
			return err == nil && established(live), err
		})
		if err != nil {
			return fmt.Errorf("waiting for definition %s: %w", crd.Name, err)
		}
	}
	return nil
}

func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established {
			return c.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}
