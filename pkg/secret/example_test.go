package secret_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// inMemory are the Secrets of a namespace that nobody else uses, so no write meets a conflict.
type inMemory map[string]*core.Secret

func (m inMemory) Get(_ context.Context, name string, _ metav1.GetOptions) (*core.Secret, error) {
	if s := m[name]; s != nil {
		return s.DeepCopy(), nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

func (m inMemory) Create(_ context.Context, s *core.Secret, _ metav1.CreateOptions) (*core.Secret, error) {
	m[s.Name] = s.DeepCopy()
	return s, nil
}

func (m inMemory) Update(ctx context.Context, s *core.Secret, _ metav1.UpdateOptions) (*core.Secret, error) {
	return m.Create(ctx, s, metav1.CreateOptions{})
}

func (m inMemory) Delete(_ context.Context, name string, _ metav1.DeleteOptions) error {
	delete(m, name)
	return nil
}

var exampleWant = secret.Want{Spec: gen.Spec{
	DNSNames: []string{"hooks.shop.svc"}, Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: gen.ECDSA},
}}

// A program in a cluster takes a client of its API server, and leaves the clock out.
func ExampleStore_Ensure() {
	clock := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	store := &secret.Store{
		Client: inMemory{}, Namespace: "shop", Name: "hooks-certs",
		Now: func() time.Time { return clock },
	}
	for range 3 {
		held, err := store.Ensure(context.Background(), exampleWant)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d: %s, CAs: %d, until %d\n", clock.Year(), held.Reason, len(held.Validation.CAs), held.Validation.NotAfter.Year())
		clock = clock.AddDate(4, 0, 0)
	}
	// Output:
	// 2026: created, CAs: 1, until 2036
	// 2030: reused, CAs: 1, until 2036
	// 2034: renewed:expiring, CAs: 2, until 2044
}

// What somebody else has made is used while it is good, and never changed.
func ExampleRefusedError() {
	theirs := &core.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hooks-certs"}}
	store := &secret.Store{Client: inMemory{theirs.Name: theirs}, Namespace: theirs.Namespace, Name: theirs.Name}
	_, err := store.Ensure(context.Background(), exampleWant)
	if refused, ok := errors.AsType[*secret.RefusedError](err); ok {
		fmt.Println(refused.Reason)
		fmt.Println(refused.Remedy)
	}
	// Output:
	// refused:foreign-malformed
	// repair the Secret, or have it made anew by: kubectl delete secret --namespace shop hooks-certs
}
