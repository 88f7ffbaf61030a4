package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
)

// Events is the Events of one namespace. Each is sent once: what it tells is not worth waiting for.
func (c *Client) Events(namespace string) bootstrap.Events {
	return events{&resource[*corev1.Event]{c, c.core, "events", namespace, func() *corev1.Event { return &corev1.Event{} }}}
}

type events struct{ *resource[*corev1.Event] }

// Create implements bootstrap.Events. Neither Retry nor the REST client, which heeds Retry-After, tries again.
func (e events) Create(ctx context.Context, event *corev1.Event, opts metav1.CreateOptions) (*corev1.Event, error) {
	return e.do(Once(ctx), e.to(e.rest.Post(), "", &opts).MaxRetries(0).Body(event))
}
