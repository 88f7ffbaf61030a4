package localcluster

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// environment is the environment of a container as its pod says.
type environment map[string]string

var reference = regexp.MustCompile(`\$(\$|\([^)]*\))`)

// expand replaces $(NAME) by the value of a variable; a name that is not known stays, and $$ is a dollar sign. These are the rules
// of the Kubernetes API for commands, arguments and values.
func (e environment) expand(text string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, ok := e[found[len("$("):len(found)-len(")")]]; ok {
			return value
		}
		return found
	})
}

// environment works out the container's environment.
func (c *container) environment() (environment, error) {
	env := environment{}
	for _, v := range c.spec.Env {
		if v.ValueFrom == nil {
			env[v.Name] = env.expand(v.Value)
			continue
		}
		value, ok, err := c.pod.lookUp(v.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", v.Name, err)
		}
		if ok {
			env[v.Name] = value
		}
	}
	return env, nil
}

// lookUp returns the value that a variable takes from elsewhere, and whether there is one: what is optional may be missing.
func (p *pod) lookUp(from *corev1.EnvVarSource) (value string, ok bool, err error) {
	if from.FieldRef != nil {
		fields := map[string]string{"metadata.name": p.object.Name, "metadata.namespace": p.object.Namespace}
		if value, ok = fields[from.FieldRef.FieldPath]; !ok {
			return "", false, fmt.Errorf("the field %s is not supported here", from.FieldRef.FieldPath)
		}
		return value, true, nil
	}
	var src source
	var key string
	if ref := from.SecretKeyRef; ref != nil {
		src, key = source{secret: true, name: ref.Name, optional: ref.Optional}, ref.Key
	} else {
		ref := from.ConfigMapKeyRef
		src, key = source{name: ref.Name, optional: ref.Optional}, ref.Key
	}
	src.items = []corev1.KeyToPath{{Key: key, Path: key}}
	data, err := p.read(src)
	content, ok := data[key]
	return string(content), ok, err
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
