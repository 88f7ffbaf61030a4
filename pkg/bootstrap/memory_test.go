package bootstrap_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// memory holds one Secret and one webhook configuration with the API server's rules for conflicts: a create meets
// AlreadyExists, a write that names another resourceVersion or UID than the stored one meets Conflict.
type memory struct {
	mu      sync.Mutex
	version int
	secret  *core.Secret // nil: there is none
	config  webhook.Snapshot
	// unguarded makes patches ignore the resourceVersion, as a server that is not to be trusted would.
	unguarded bool
}

// newMemory has no Secret and a configuration with two entries that trust nothing.
func newMemory() *memory {
	return &memory{config: webhook.Snapshot{ResourceVersion: "0", Entries: []webhook.Entry{{Name: "one"}, {Name: "two"}}}}
}

// next counts the changes. The caller holds the lock.
func (m *memory) next() string {
	m.version++
	return strconv.Itoa(m.version)
}

// store keeps s as the Secret. The caller holds the lock.
func (m *memory) store(s *core.Secret) *core.Secret {
	m.secret = s.DeepCopy()
	m.secret.ResourceVersion = m.next()
	return m.secret.DeepCopy()
}

var (
	secretResource = schema.GroupResource{Resource: "secrets"}
	configResource = schema.GroupResource{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"}
)

// secrets is the Secrets of a memory as one client sees them. It calls before ahead of each request.
type secrets struct {
	*memory
	before func(verb string)
}

func (c secrets) Get(_ context.Context, name string, _ metav1.GetOptions) (*core.Secret, error) {
	c.before("get secret")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret == nil {
		return nil, apierrors.NewNotFound(secretResource, name)
	}
	return c.secret.DeepCopy(), nil
}

func (c secrets) Create(_ context.Context, s *core.Secret, _ metav1.CreateOptions) (*core.Secret, error) {
	c.before("create secret")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret != nil {
		return nil, apierrors.NewAlreadyExists(secretResource, s.Name)
	}
	s = s.DeepCopy()
	s.UID = types.UID("uid-" + strconv.Itoa(c.version))
	return c.store(s), nil
}

func (c secrets) Update(_ context.Context, s *core.Secret, _ metav1.UpdateOptions) (*core.Secret, error) {
	c.before("update secret")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.secret == nil:
		return nil, apierrors.NewNotFound(secretResource, s.Name)
	case s.ResourceVersion != c.secret.ResourceVersion:
		return nil, apierrors.NewConflict(secretResource, s.Name, nil)
	}
	return c.store(s), nil
}

func (c secrets) Delete(_ context.Context, name string, o metav1.DeleteOptions) error {
	c.before("delete secret")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p := o.Preconditions; {
	case c.secret == nil:
		return apierrors.NewNotFound(secretResource, name)
	case p != nil && (*p.UID != c.secret.UID || *p.ResourceVersion != c.secret.ResourceVersion):
		return apierrors.NewConflict(secretResource, name, nil)
	}
	c.secret = nil
	return nil
}

// configurations is the webhook configuration of a memory as one client sees it.
type configurations struct {
	*memory
	before func(verb string)
}

func (c configurations) Get(context.Context, string) (*webhook.Snapshot, error) {
	c.before("get configuration")
	c.mu.Lock()
	defer c.mu.Unlock()
	return &webhook.Snapshot{ResourceVersion: c.config.ResourceVersion, Entries: slices.Clone(c.config.Entries)}, nil
}

func (c configurations) Patch(_ context.Context, name string, body []byte, _ string) error {
	c.before("patch configuration")
	var patch struct {
		Metadata struct{ ResourceVersion string }
		Webhooks []struct {
			Name         string
			ClientConfig struct{ CABundle []byte }
		}
	}
	if err := json.Unmarshal(body, &patch); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if patch.Metadata.ResourceVersion != c.config.ResourceVersion && !c.unguarded {
		return apierrors.NewConflict(configResource, name, nil)
	}
	for _, w := range patch.Webhooks {
		i := slices.IndexFunc(c.config.Entries, func(e webhook.Entry) bool { return e.Name == w.Name })
		c.config.Entries[i].CABundle = w.ClientConfig.CABundle
	}
	c.config.ResourceVersion = c.next()
	return nil
}

// removeBundles does what Helm does on a switch of modes: it removes the field, whatever version the object has.
func (c configurations) removeBundles() {
	c.before("strip configuration")
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.config.Entries {
		c.config.Entries[i].CABundle = nil
	}
	c.config.ResourceVersion = c.next()
}
