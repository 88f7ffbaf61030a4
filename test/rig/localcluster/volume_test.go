package localcluster

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// folder returns where the kubelet keeps the volume of a pod.
func folder(k *Kubelet, pod *corev1.Pod, volume string) string {
	return k.pod(pod.Namespace, pod.Name).volumeDir(volume)
}

func secretVolume(source corev1.SecretVolumeSource) corev1.PodSpec {
	c := tool("main", "serve")
	c.VolumeMounts = []corev1.VolumeMount{{Name: "files", MountPath: "/files"}}
	return corev1.PodSpec{
		Containers: []corev1.Container{c}, Volumes: []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{Secret: &source}}},
	}
}

func TestSecretVolumes(t *testing.T) {
	k := pods(t)
	namespace := newNamespace(t)
	secrets := cluster.Client.CoreV1().Secrets(namespace)
	create := func(t *testing.T, name string) {
		t.Helper()
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string][]byte{"a": []byte("1"), "b": []byte("2")}}
		_, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	read := func(t *testing.T, pod *corev1.Pod, name string) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(folder(k, pod, "files"), name))
		require.NoError(t, err)
		return string(content)
	}

	t.Run("a pod waits for a Secret that is missing and starts when it appears", func(t *testing.T) {
		pod := runPod(t, namespace, secretVolume(corev1.SecretVolumeSource{SecretName: "late"}))
		awaitPod(t, pod, func(p *corev1.Pod) bool {
			return p.Status.Phase == corev1.PodPending && readiness(p).Message == `mounting volume files: secrets "late" not found`
		})

		create(t, "late")
		awaitPod(t, pod, isReady)
		assert.Equal(t, "1", read(t, pod, "a"))
	})

	t.Run("a Secret that is optional may be missing", func(t *testing.T) {
		awaitPod(t, runPod(t, namespace, secretVolume(corev1.SecretVolumeSource{SecretName: "never", Optional: ptr.To(true)})), isReady)
	})

	t.Run("items choose keys and name files", func(t *testing.T) {
		create(t, "items")
		pod := awaitPod(
			t, runPod(t, namespace, secretVolume(corev1.SecretVolumeSource{SecretName: "items", Items: []corev1.KeyToPath{{Key: "b", Path: "c"}}})),
			isReady,
		)
		assert.Equal(t, "2", read(t, pod, "c"))
		assert.NoFileExists(t, filepath.Join(folder(k, pod, "files"), "a"))
	})

	t.Run("a change reaches the folder, by a switch of the link to the data", func(t *testing.T) {
		create(t, "changing")
		pod := awaitPod(t, runPod(t, namespace, secretVolume(corev1.SecretVolumeSource{SecretName: "changing"})), isReady)
		link := filepath.Join(folder(k, pod, "files"), "..data")
		before, err := os.Readlink(link)
		require.NoError(t, err)

		_, err = secrets.Patch(t.Context(), "changing", types.MergePatchType, []byte(`{"stringData":{"a":"new"}}`), metav1.PatchOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return read(t, pod, "a") == "new" }, patience, 10*time.Millisecond)
		after, err := os.Readlink(link)
		require.NoError(t, err)
		assert.NotEqual(t, before, after)
	})
}

func TestConfigMapVolume(t *testing.T) {
	k := pods(t)
	namespace := newNamespace(t)
	_, err := cluster.Client.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "config"}, Data: map[string]string{"text": "x"}, BinaryData: map[string][]byte{"binary": {0}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	spec := secretVolume(corev1.SecretVolumeSource{})
	spec.Volumes[0].VolumeSource = corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}},
	}
	pod := awaitPod(t, runPod(t, namespace, spec), isReady)
	for name, want := range map[string]string{"text": "x", "binary": "\x00"} {
		content, err := os.ReadFile(filepath.Join(folder(k, pod, "files"), name))
		require.NoError(t, err)
		assert.Equal(t, want, string(content))
	}
}
