package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// A watch ends after a while by itself and is begun anew, so that one whose connection has died unseen does not stay. The
// clients of many controllers are not to do that at the same time.
const (
	minWatch    = 10 * time.Minute
	watchJitter = 10 * time.Minute

	// listTimeout is how long the list before a watch may take.
	listTimeout = 30 * time.Second
)

// Event is a change of one object, or what a list held of it.
type Event struct {
	Name string
	// Object is the JSON form, nil when the object is gone.
	Object json.RawMessage
}

// Handler is told of the objects that Follow follows.
type Handler interface {
	// Replace is what there is now, all of it.
	Replace(objects []Event)
	// Change is one change since.
	Change(Event)
}

// header is what Follow reads of any object or list.
type header struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

// Follow lists the objects at path that query selects and then watches them, and tells h, until something fails; it never
// returns nil. It does not try again: who calls it decides how soon.
//
// A query with the field selector metadata.name is allowed by rights that are limited to that name (Kubernetes
// documentation, RBAC, referring to resources).
func (r *Raw) Follow(ctx context.Context, path string, query url.Values, h Handler) error {
	var list struct {
		header
		Items []json.RawMessage `json:"items"`
	}
	listing, cancel := context.WithTimeoutCause(ctx, listTimeout, fmt.Errorf("no answer within %s", listTimeout))
	err := r.Get(listing, path, query, &list)
	cancel()
	if err != nil {
		return fmt.Errorf("listing %s: %w", path, err)
	}
	events := make([]Event, 0, len(list.Items))
	for _, item := range list.Items {
		var o header
		if err := json.Unmarshal(item, &o); err != nil {
			return fmt.Errorf("listing %s: reading the answer: %w", path, err)
		}
		events = append(events, Event{Name: o.Metadata.Name, Object: item})
	}
	h.Replace(events)
	version := list.Metadata.ResourceVersion
	for {
		if err := r.watch(ctx, path, query, &version, h); err != nil {
			return fmt.Errorf("watching %s: %w", path, err)
		}
	}
}

// watch is one watch from *version on, which follows what has been seen. It returns nil when the server ended it in order.
func (r *Raw) watch(ctx context.Context, path string, query url.Values, version *string, h Handler) error {
	request := r.client.Get().AbsPath(path)
	for key, values := range query {
		for _, value := range values {
			request = request.Param(key, value)
		}
	}
	limit := minWatch + rand.N(watchJitter)
	body, err := request.Param("watch", "true").Param("allowWatchBookmarks", "true").Param("resourceVersion", *version).
		Param("timeoutSeconds", strconv.Itoa(int(limit.Seconds()))).MaxRetries(0).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	begun := time.Now()
	decoder := json.NewDecoder(body)
	for {
		var event struct {
			Type   watch.EventType `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		err := decoder.Decode(&event)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF) && time.Since(begun) > time.Second:
			return nil
		case err != nil:
			// One that ends at once is no watch: to begin the next without a pause would be a loop.
			return fmt.Errorf("reading the stream: %w", err)
		}
		if event.Type == watch.Error {
			var status metav1.Status
			if err := json.Unmarshal(event.Object, &status); err != nil {
				return fmt.Errorf("reading the stream: %w", err)
			}
			return &apierrors.StatusError{ErrStatus: status}
		}
		var o header
		if err := json.Unmarshal(event.Object, &o); err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
		switch event.Type {
		case watch.Added, watch.Modified:
			h.Change(Event{Name: o.Metadata.Name, Object: event.Object})
		case watch.Deleted:
			h.Change(Event{Name: o.Metadata.Name})
		}
		*version = o.Metadata.ResourceVersion
	}
}

// MergePatch applies a JSON merge patch (RFC 7386) to the object at path, as fieldManager, and reads what it is then into o.
func (r *Raw) MergePatch(ctx context.Context, path string, patch any, fieldManager string, o any) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	answer, err := raw(r.client.Patch(types.MergePatchType).AbsPath(path).Param("fieldManager", fieldManager).
		SetHeader("Accept", runtime.ContentTypeJSON).Body(body).Do(ctx))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, o); err != nil {
		return fmt.Errorf("reading the answer to a patch of %s: %w", path, err)
	}
	return nil
}
