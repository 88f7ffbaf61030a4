package localcluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestExpansion(t *testing.T) {
	env := environment{"A": "1", "EMPTY": ""}
	for text, want := range map[string]string{
		"--a=$(A)":      "--a=1",
		"$(A)$(A)":      "11",
		"$(EMPTY)x":     "x",
		"$(B)":          "$(B)",
		"$$(A)":         "$(A)",
		"$A ${A} $":     "$A ${A} $",
		"$$$(A)":        "$1",
		"no reference(": "no reference(",
	} {
		t.Run(fmt.Sprintf("%s becomes %s", text, want), func(t *testing.T) {
			assert.Equal(t, want, env.expand(text))
		})
	}
}

func TestPathsOfMounts(t *testing.T) {
	p := &pod{dir: "/tmp/pod", object: &corev1.Pod{}}
	c := newContainer(p, corev1.Container{VolumeMounts: []corev1.VolumeMount{
		{Name: "tmp", MountPath: "/tmp"},
		{Name: "tls", MountPath: "/etc/tls/"},
		{Name: "deep", MountPath: "/etc/tls/deep"},
	}}, false)
	for text, want := range map[string]string{
		"/etc/tls":                   "/tmp/pod/volumes/tls",
		"/etc/tls/tls.crt":           "/tmp/pod/volumes/tls/tls.crt",
		"--file=/etc/tls/tls.crt":    "--file=/tmp/pod/volumes/tls/tls.crt",
		"/etc/tls/deep/x":            "/tmp/pod/volumes/deep/x",
		"/etc/tlsx":                  "/etc/tlsx",
		"/other/etc/tls":             "/other/etc/tls",
		"/tmp/x":                     "/tmp/pod/volumes/tmp/x",
		"a=/etc/tls,b=/etc/tls/deep": "a=/tmp/pod/volumes/tls,b=/tmp/pod/volumes/deep",
	} {
		t.Run(fmt.Sprintf("%s becomes %s", text, want), func(t *testing.T) {
			assert.Equal(t, want, c.paths().translate(text))
		})
	}
}

func TestContainerEnvironment(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)
	_, err := cluster.Client.CoreV1().Secrets(namespace).Create(
		t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"key": "hidden"}},
		metav1.CreateOptions{},
	)
	require.NoError(t, err)
	reference := corev1.LocalObjectReference{Name: "s"}
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	c := tool("main", "print", "--name=$(NAME)", "$(MISSING)")
	c.Env = []corev1.EnvVar{
		{Name: "NAME", ValueFrom: field("metadata.name")},
		{Name: "NAMESPACE", ValueFrom: field("metadata.namespace")},
		{Name: "BOTH", Value: "$(NAMESPACE)/$(NAME)"},
		{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: reference, Key: "key"}}},
		{
			Name: "OPTIONAL",
			ValueFrom: &corev1.EnvVarSource{
				ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: reference, Key: "key", Optional: ptr.To(true)},
			},
		},
	}
	pod := awaitPod(t, runPod(
		t, namespace,
		corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{c}, AutomountServiceAccountToken: ptr.To(false)},
	), func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded
	})
	lines := strings.Split(strings.TrimSpace(logs(t, pod, "main")), "\n")
	assert.Equal(t, []string{"--name=" + pod.Name, "$(MISSING)"}, lines[:2])
	// The shell that starts a process may add the name of its folder.
	added := func(line string) bool { return strings.HasPrefix(line, "STANDIN_") || strings.HasPrefix(line, "PWD=") }
	assert.ElementsMatch(t, []string{
		minimalPath,
		"NAME=" + pod.Name, "NAMESPACE=" + namespace, "BOTH=" + namespace + "/" + pod.Name, "SECRET=hidden",
	}, slices.DeleteFunc(lines[2:], added))
}

func TestTokensHaveTheRightsOfTheServiceAccount(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)
	client := cluster.Client
	for _, name := range []string{"allowed", "denied"} {
		_, err := client.CoreV1().Secrets(namespace).Create(
			t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"key": name}},
			metav1.CreateOptions{},
		)
		require.NoError(t, err)
	}
	_, err := client.CoreV1().ServiceAccounts(namespace).Create(
		t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	_, err = client.RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"allowed"}, Verbs: []string{"get"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "reader"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	for secret, phase := range map[string]corev1.PodPhase{"allowed": corev1.PodSucceeded, "denied": corev1.PodFailed} {
		t.Run("a pod's read of the Secret "+secret, func(t *testing.T) {
			pod := awaitPod(t, runPod(t, namespace, corev1.PodSpec{
				ServiceAccountName: "reader",
				RestartPolicy:      corev1.RestartPolicyNever,
				Containers:         []corev1.Container{tool("main", "secret", namespace, secret)},
			}), func(p *corev1.Pod) bool { return p.Status.Phase == phase })
			if phase == corev1.PodFailed {
				assert.Equal(
					t,
					fmt.Sprintf(
						"secrets %q is forbidden: User \"system:serviceaccount:%s:reader\" cannot get resource \"secrets\" in API group \"\" in the "+
							"namespace %q\n",
						secret, namespace, namespace,
					),
					logs(t, pod, "main"),
				)
			}
		})
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)
	seconds := ptr.To[int64](1)
	port := webhookPort

	for what, change := range map[string]func(*corev1.PodSpec, *corev1.Container){
		"volumes.hostPath.path": func(s *corev1.PodSpec, _ *corev1.Container) {
			s.Volumes = []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		},
		"hostNetwork":             func(s *corev1.PodSpec, _ *corev1.Container) { s.HostNetwork = true },
		"restartPolicy OnFailure": func(s *corev1.PodSpec, _ *corev1.Container) { s.RestartPolicy = corev1.RestartPolicyOnFailure },
		"containers.command":      func(_ *corev1.PodSpec, c *corev1.Container) { c.Command = []string{"/bin/sh"} },
		"containers.restartPolicy": func(s *corev1.PodSpec, c *corev1.Container) {
			c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
			s.InitContainers = []corev1.Container{*c}
			c.Name, c.RestartPolicy = "other", nil
		},
		"more than one container beside init containers": func(s *corev1.PodSpec, _ *corev1.Container) {
			s.Containers = append(s.Containers, tool("other", "serve"))
		},
		"containers.readinessProbe.tcpSocket.port": func(_ *corev1.PodSpec, c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}}}
		},
		"containers.livenessProbe.terminationGracePeriodSeconds": func(_ *corev1.PodSpec, c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{
				TerminationGracePeriodSeconds: seconds, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: port}},
			}
		},
	} {
		t.Run(what+" fails the pod", func(t *testing.T) {
			spec := corev1.PodSpec{Containers: []corev1.Container{tool("main", "serve")}}
			change(&spec, &spec.Containers[0])
			pod := awaitPod(t, runPod(t, namespace, spec), func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
			assert.Equal(t, "not supported here: "+what, readiness(pod).Message)
		})
	}

	t.Run("an image that no program stands for keeps the container waiting", func(t *testing.T) {
		pod := runPod(t, namespace, corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/other:v1"}}})
		const message = `no program stands for image example.com/other:v1: the images known are named by the last part of the repository, and ` +
			`"other" is none of them`
		awaitPod(t, pod, func(p *corev1.Pod) bool {
			return p.Status.Phase == corev1.PodPending && readiness(p).Message == message
		})
	})
}

func TestImageNames(t *testing.T) {
	for reference, want := range map[string]string{
		"kthena-router": "kthena-router",
		"ghcr.io/volcano-sh/kthena-router:v1.0.0":       "kthena-router",
		"localhost:5000/kthena-router":                  "kthena-router",
		"a.example/b/kthena-router:v1@sha256:0123":      "kthena-router",
		"a.example:5000/b/kthena-router@sha256:0123456": "kthena-router",
	} {
		t.Run(reference, func(t *testing.T) { assert.Equal(t, want, imageName(reference)) })
	}
}
