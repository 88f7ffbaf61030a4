package localcluster

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
)

// source is a Secret or a ConfigMap that a pod takes something from.
type source struct {
	secret   bool
	name     string
	items    []corev1.KeyToPath // the keys to take and what to call them, or none for all
	optional *bool              // the object and its keys may be missing
}

// read returns what is in a source now. It asks the API server, not a cache: a pod that is made right after a change is not to
// begin with the old content.
func (p *pod) read(s source) (map[string][]byte, error) {
	ctx, core := p.kubelet.ctx, p.kubelet.client.CoreV1()
	data := map[string][]byte{}
	var err error
	if s.secret {
		var secret *corev1.Secret
		if secret, err = core.Secrets(p.object.Namespace).Get(ctx, s.name, metav1.GetOptions{}); err == nil {
			maps.Copy(data, secret.Data)
		}
	} else {
		var configMap *corev1.ConfigMap
		if configMap, err = core.ConfigMaps(p.object.Namespace).Get(ctx, s.name, metav1.GetOptions{}); err == nil {
			maps.Copy(data, configMap.BinaryData)
			for key, value := range configMap.Data {
				data[key] = []byte(value)
			}
		}
	}
	optional := ptr.Deref(s.optional, false)
	if err != nil && !(optional && apierrors.IsNotFound(err)) {
		return nil, err
	}
	if len(s.items) == 0 {
		return data, nil
	}
	taken := map[string][]byte{}
	for _, item := range s.items {
		content, ok := data[item.Key]
		if !ok && !optional {
			return nil, fmt.Errorf("%s has no key %q", s.name, item.Key)
		}
		if ok {
			taken[item.Path] = content
		}
	}
	return taken, nil
}

// volumeDir returns the folder that is the volume.
func (p *pod) volumeDir(name string) string {
	return filepath.Join(p.dir, "volumes", name)
}

// mountVolumes makes the folders of all volumes, waits for what has to be in them, and keeps them fresh until the pod's containers
// have ended. It returns early when the pod's life ends.
func (p *pod) mountVolumes() error {
	for _, v := range p.object.Spec.Volumes {
		dir := p.volumeDir(v.Name)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("creating the folder of volume %s: %w", v.Name, err)
		}
		var from source
		switch {
		case v.Secret != nil:
			from = source{secret: true, name: v.Secret.SecretName, items: v.Secret.Items, optional: v.Secret.Optional}
		case v.ConfigMap != nil:
			from = source{name: v.ConfigMap.Name, items: v.ConfigMap.Items, optional: v.ConfigMap.Optional}
		default:
			continue
		}
		for err := p.fill(dir, from); err != nil; err = p.fill(dir, from) {
			p.inTrouble(fmt.Errorf("mounting volume %s: %w", v.Name, err))
			if !sleep(p.life, retryInterval) {
				return p.life.Err()
			}
		}
		p.background.Go(func() {
			for sleep(p.active, p.kubelet.options.VolumeDelay) {
				// What is gone now stays on the disk, as on a node.
				p.inTrouble(p.fill(dir, from))
			}
		})
	}
	return nil
}

// fill writes what is in the source now into the folder, by a switch of the link to all of it.
func (p *pod) fill(dir string, from source) error {
	files, err := p.read(from)
	if err != nil {
		return err
	}
	_, err = certdir.Write(dir, files, time.Now())
	return err
}
