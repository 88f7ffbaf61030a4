package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// Events is the Events of one namespace. Each is sent once: what it tells is not worth waiting for.
func (c *Client) Events(namespace string) bootstrap.Events {
	return events{objectsOf[core.Event](c, resource.Events, namespace)}
}

type events struct {
	*objects[core.Event, *core.Event]
}

// Create implements bootstrap.Events. Neither Retry nor the REST client, which heeds Retry-After, tries again.
func (e events) Create(ctx context.Context, event *core.Event, opts metav1.CreateOptions) (*core.Event, error) {
	return e.do(Once(ctx), e.to(e.rest.Post(), "", &opts).MaxRetries(0).Body(event))
}
