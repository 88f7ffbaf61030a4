package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// Secrets is the Secrets of one namespace.
func (c *Client) Secrets(namespace string) secret.Client {
	return objectsOf[core.Secret](c, resource.Secrets, namespace)
}

// objects is those of one resource. Its methods have the signatures of client-go's typed clients.
type objects[T any, P object[T]] struct {
	rest       rest.Interface
	parameters runtime.ParameterCodec
	resource   resource.Resource
	namespace  string // "" for what is in none
}

// object is a pointer to T.
type object[T any] interface {
	*T
	runtime.Object
	metav1.Object
}

func objectsOf[T any, P object[T]](c *Client, r resource.Resource, namespace string) *objects[T, P] {
	return &objects[T, P]{c.groups[r.Group], c.parameters, r, namespace}
}

func (o *objects[T, P]) to(req *rest.Request, name string, opts runtime.Object) *rest.Request {
	req = req.NamespaceIfScoped(o.namespace, o.namespace != "").Resource(o.resource.Plural).VersionedParams(opts, o.parameters)
	if name != "" {
		req = req.Name(name)
	}
	return req
}

func (o *objects[T, P]) do(ctx context.Context, req *rest.Request) (P, error) {
	found := P(new(T))
	err := req.Do(ctx).Into(found)
	return found, err
}

// list reads those that a label selector matches into all.
func (o *objects[T, P]) list(ctx context.Context, selector string, all runtime.Object) error {
	if err := o.to(o.rest.Get(), "", &metav1.ListOptions{LabelSelector: selector}).Do(ctx).Into(all); err != nil {
		return fmt.Errorf("listing %s: %w", o.resource.Plural, err)
	}
	return nil
}

func (o *objects[T, P]) Get(ctx context.Context, name string, opts metav1.GetOptions) (P, error) {
	return o.do(ctx, o.to(o.rest.Get(), name, &opts))
}

func (o *objects[T, P]) Create(ctx context.Context, made P, opts metav1.CreateOptions) (P, error) {
	return o.do(ctx, o.to(o.rest.Post(), "", &opts).Body(made))
}

func (o *objects[T, P]) Update(ctx context.Context, changed P, opts metav1.UpdateOptions) (P, error) {
	return o.do(ctx, o.to(o.rest.Put(), changed.GetName(), &opts).Body(changed))
}

func (o *objects[T, P]) Patch(
	ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string,
) (P, error) {
	return o.do(ctx, o.to(o.rest.Patch(pt), name, &opts).SubResource(subresources...).Body(data))
}

func (o *objects[T, P]) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	return o.to(o.rest.Delete(), name, &metav1.DeleteOptions{}).Body(&opts).Do(ctx).Error()
}
