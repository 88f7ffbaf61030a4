package localcluster

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// environment is the environment of a container as its pod says: names in the order of the pod, each with its last value.
type environment struct {
	names  []string
	values map[string]string
}

func (e *environment) set(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

// list returns the environment for a process.
func (e *environment) list(paths paths) []string {
	var list []string
	for _, name := range e.names {
		list = append(list, name+"="+paths.translate(e.values[name]))
	}
	return list
}

var reference = regexp.MustCompile(`\$(\$|\([^)]*\))`)

// expand replaces $(NAME) by the value of a variable; a name that is not known stays, and $$ is a dollar sign. These are the rules
// of the Kubernetes API for commands, arguments and values.
func (e *environment) expand(text string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, ok := e.values[found[len("$("):len(found)-len(")")]]; ok {
			return value
		}
		return found
	})
}

// environment works out the container's environment.
func (c *container) environment() (*environment, error) {
	env := &environment{values: map[string]string{}}
	for _, v := range c.spec.Env {
		if v.ValueFrom == nil {
			env.set(v.Name, env.expand(v.Value))
			continue
		}
		value, ok, err := c.pod.lookUp(v.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", v.Name, err)
		}
		if ok {
			env.set(v.Name, value)
		}
	}
	return env, nil
}

// lookUp returns the value that a variable takes from elsewhere, and whether there is one: what is optional may be missing.
func (p *pod) lookUp(from *corev1.EnvVarSource) (value string, ok bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = p.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := p.secretData(ref.Name)
		return keyOf(data, err, fmt.Sprintf("secret %q", ref.Name), ref.Key, deref(ref.Optional, false))
	default:
		ref := from.ConfigMapKeyRef
		data, err := p.configMapData(ref.Name)
		return keyOf(data, err, fmt.Sprintf("configmap %q", ref.Name), ref.Key, deref(ref.Optional, false))
	}
}

func keyOf(data map[string][]byte, err error, source, key string, optional bool) (string, bool, error) {
	value, ok := data[key]
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return "", false, fmt.Errorf("reading %s: %w", source, err)
	case ok || optional:
		return string(value), ok, nil
	case err != nil:
		return "", false, fmt.Errorf("%s not found", source)
	default:
		return "", false, fmt.Errorf("%s has no key %q", source, key)
	}
}

var mapField = regexp.MustCompile(`^metadata\.(labels|annotations)\['([^']*)'\]$`)

// field returns a field of the pod by its path in the downward API.
func (p *pod) field(path string) (string, error) {
	if match := mapField.FindStringSubmatch(path); match != nil {
		if match[1] == "labels" {
			return p.object.Labels[match[2]], nil
		}
		return p.object.Annotations[match[2]], nil
	}
	switch path {
	case "metadata.name":
		return p.object.Name, nil
	case "metadata.namespace":
		return p.object.Namespace, nil
	case "metadata.uid":
		return string(p.object.UID), nil
	case "spec.nodeName":
		return p.object.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return p.serviceAccount(), nil
	case "status.podIP", "status.podIPs":
		return p.ip, nil
	case "status.hostIP", "status.hostIPs":
		return hostIP, nil
	default:
		return "", fmt.Errorf("the field %s is not supported", path)
	}
}

// paths leads the paths of a container's mounts to the folders of their volumes.
type paths struct {
	find    *regexp.Regexp
	folders map[string]string
}

// paths returns the paths of the container's mounts.
func (c *container) paths() paths {
	folders := map[string]string{}
	var mounts []string
	for _, m := range c.spec.VolumeMounts {
		mount := strings.TrimRight(m.MountPath, "/")
		folders[mount] = c.pod.volumeDir(m.Name)
		mounts = append(mounts, regexp.QuoteMeta(mount))
	}
	if len(mounts) == 0 {
		return paths{}
	}
	// The longest first: a mount may lie below another.
	slices.SortFunc(mounts, func(a, b string) int { return len(b) - len(a) })
	return paths{
		find:    regexp.MustCompile(`(^|[=,:])(` + strings.Join(mounts, "|") + `)($|[/,:])`),
		folders: folders,
	}
}

// translate replaces the paths in text, which is one or has some behind =, or in a list divided by commas or colons. It goes over
// the text once, so that what it has put there stays, wherever this machine keeps the folders.
func (p paths) translate(text string) string {
	if p.find == nil {
		return text
	}
	return p.find.ReplaceAllStringFunc(text, func(found string) string {
		match := p.find.FindStringSubmatch(found)
		return match[1] + p.folders[match[2]] + match[3]
	})
}
