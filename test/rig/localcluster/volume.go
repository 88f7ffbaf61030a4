package localcluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
)

// volumeDir returns the folder that is the volume.
func (p *pod) volumeDir(name string) string {
	return filepath.Join(p.dir, "volumes", name)
}

// mountVolumes makes the folders of all volumes, waits for what has to be in them, and keeps them fresh until the pod's containers
// have ended. It returns early when ctx ends.
func (p *pod) mountVolumes(ctx context.Context) error {
	for _, v := range p.object.Spec.Volumes {
		if err := os.MkdirAll(p.volumeDir(v.Name), 0o750); err != nil {
			return fmt.Errorf("creating the folder of volume %s: %w", v.Name, err)
		}
		if v.EmptyDir != nil {
			continue
		}
		files, err := p.fillVolume(ctx, v)
		if err != nil {
			return err
		}
		p.background.Go(func() { p.refreshVolume(v, files) })
	}
	return nil
}

// fillVolume writes the first files of a volume as soon as they are there.
func (p *pod) fillVolume(ctx context.Context, v corev1.Volume) (map[string][]byte, error) {
	for told := ""; ; {
		changed := p.kubelet.changed.wait()
		files, err := p.volumeFiles(v)
		if err == nil {
			_, err = certdir.Write(p.volumeDir(v.Name), files, time.Now())
			return files, err
		}
		if err.Error() != told {
			told = err.Error()
			p.event(corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %q : %v", v.Name, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-time.After(retryInterval):
		}
	}
}

// refreshVolume writes new files a while after what they come from has changed.
func (p *pod) refreshVolume(v corev1.Volume, written map[string][]byte) {
	for {
		changed := p.kubelet.changed.wait()
		// What is gone now stays on the disk, as on a node.
		if files, err := p.volumeFiles(v); err == nil && !reflect.DeepEqual(files, written) {
			select {
			case <-p.ended:
				return
			case <-time.After(p.kubelet.options.VolumeDelay):
			}
			if files, err = p.volumeFiles(v); err != nil {
				continue
			}
			if _, err := certdir.Write(p.volumeDir(v.Name), files, time.Now()); err != nil {
				p.event(corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %q : %v", v.Name, err)
			}
			written = files
			continue
		}
		select {
		case <-p.ended:
			return
		case <-changed:
		}
	}
}

// volumeFiles returns what is to be in a Secret or ConfigMap volume now.
func (p *pod) volumeFiles(v corev1.Volume) (map[string][]byte, error) {
	var data map[string][]byte
	var optional bool
	var err error
	var source string
	if v.Secret != nil {
		source = fmt.Sprintf("secret %q", v.Secret.SecretName)
		optional = deref(v.Secret.Optional, false)
		data, err = p.secretData(v.Secret.SecretName)
	} else {
		source = fmt.Sprintf("configmap %q", v.ConfigMap.Name)
		optional = deref(v.ConfigMap.Optional, false)
		data, err = p.configMapData(v.ConfigMap.Name)
	}
	switch {
	case apierrors.IsNotFound(err) && optional:
		return map[string][]byte{}, nil
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%s not found", source)
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", source, err)
	}
	items := volumeItems(v)
	if len(items) == 0 {
		return data, nil
	}
	files := map[string][]byte{}
	for _, item := range items {
		content, ok := data[item.Key]
		if !ok && !optional {
			return nil, fmt.Errorf("%s has no key %q", source, item.Key)
		}
		if ok {
			files[item.Path] = content
		}
	}
	return files, nil
}

// volumeItems returns the keys that the volume takes, and the files that they go to. Without any it takes all.
func volumeItems(v corev1.Volume) []corev1.KeyToPath {
	switch {
	case v.Secret != nil:
		return v.Secret.Items
	case v.ConfigMap != nil:
		return v.ConfigMap.Items
	}
	return nil
}

// secretData asks the API server, not a cache: a pod that is made right after a change is not to begin with the old content.
func (p *pod) secretData(name string) (map[string][]byte, error) {
	secret, err := p.kubelet.client.CoreV1().Secrets(p.object.Namespace).Get(p.kubelet.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return secret.Data, nil
}

func (p *pod) configMapData(name string) (map[string][]byte, error) {
	configMap, err := p.kubelet.client.CoreV1().ConfigMaps(p.object.Namespace).Get(p.kubelet.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := maps.Clone(configMap.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, value := range configMap.Data {
		data[key] = []byte(value)
	}
	return data, nil
}
