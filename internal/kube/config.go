package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // half a hundredth of the program
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/homedir"
)

// Access says how the API server is to be reached.
type Access struct {
	// Kubeconfig is a file. Empty: where kubectl looks for it.
	Kubeconfig string
	// Overrides replace what the kubeconfig says. Of them the context, the cluster, the user, the impersonation and the timeout count.
	Overrides clientcmd.ConfigOverrides
	// PodFirst says that in a pod its service account comes before ~/.kube/config: for what runs there by itself.
	PodFirst bool
}

// Target is the API server, and who we are there.
type Target struct {
	*rest.Config
	// Namespace is that of the kubeconfig's context or of the pod.
	Namespace string
	// InPod says that this is a pod, which reaches others directly.
	InPod bool
}

const homeConfig = "~/" + clientcmd.RecommendedHomeDir + "/" + clientcmd.RecommendedFileName

// Config finds the API server as kubectl does: by the kubeconfig file when one is given, else by the files that the environment
// variable KUBECONFIG names, else by ~/.kube/config, else by the pod's service account.
func Config(a Access) (Target, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: a.Kubeconfig}
	source := "--kubeconfig"
	if a.Kubeconfig == "" {
		source = clientcmd.RecommendedConfigPathEnvVar
		rules.Precedence = filepath.SplitList(os.Getenv(source))
	}
	if a.Kubeconfig == "" && len(rules.Precedence) == 0 {
		path := filepath.Join(homedir.HomeDir(), clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName)
		_, err := os.Stat(path)
		if a.PodFirst || errors.Is(err, fs.ErrNotExist) {
			found, podErr := a.inPod()
			switch {
			case podErr == nil:
				return found, nil
			case !errors.Is(podErr, rest.ErrNotInCluster):
				return Target{}, podErr
			case err != nil:
				return Target{}, fmt.Errorf(
					"this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no %s: name a kubeconfig file", homeConfig,
				)
			}
		}
		source = homeConfig
		rules.Precedence = []string{path}
	}
	// Not clientcmd's deferred loading: that falls back to the pod's service account when the files hold nothing, and so
	// would act on another cluster than the one that was named.
	config, err := rules.Load()
	if err != nil {
		return Target{}, fmt.Errorf("%s: reading the kubeconfig: %w", source, err)
	}
	files := strings.Join(rules.GetLoadingPrecedence(), ", ")
	if api.IsConfigEmpty(config) {
		return Target{}, fmt.Errorf("%s: %s: there is no kubeconfig, or it is empty", source, files)
	}
	if err := a.check(config, files); err != nil {
		return Target{}, err
	}
	// With rules, what a sign-in by OIDC refreshes is written to the file, as kubectl does.
	loader := clientcmd.NewNonInteractiveClientConfig(*config, a.Overrides.CurrentContext, &a.Overrides, rules)
	cfg, err := loader.ClientConfig()
	if err != nil {
		return Target{}, fmt.Errorf("%s: using the kubeconfig: %w", source, err)
	}
	if err := checkCredentials(cfg); err != nil {
		return Target{}, fmt.Errorf("%s: using the kubeconfig: %w", source, err)
	}
	namespace, _, err := loader.Namespace()
	nameProxy(cfg)
	return Target{Config: cfg, Namespace: namespace}, err
}

// inPod is the Target of a pod's service account. The error is rest.ErrNotInCluster where this is no pod.
func (a Access) inPod() (Target, error) {
	cfg, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return Target{}, err
	}
	if err != nil {
		return Target{}, fmt.Errorf("reading the pod's service account: %w", err)
	}
	for flag, name := range a.named() {
		if name != "" {
			return Target{}, fmt.Errorf("%s %q names something in a kubeconfig, and this is a pod without one", flag, name)
		}
	}
	if cfg.Timeout, err = a.timeout(); err != nil {
		return Target{}, err
	}
	cfg.Impersonate.UserName = a.Overrides.AuthInfo.Impersonate
	// Where it cannot be read there is a service account without a namespace, which its user knows.
	namespace, _ := os.ReadFile(filepath.Join(filepath.Dir(cfg.BearerTokenFile), "namespace"))
	nameProxy(cfg)
	return Target{Config: cfg, Namespace: strings.TrimSpace(string(namespace)), InPod: true}, nil
}

// named are the names in a kubeconfig that flags give, by the flag.
func (a Access) named() map[string]string {
	return map[string]string{
		"--context": a.Overrides.CurrentContext, "--cluster": a.Overrides.Context.Cluster, "--user": a.Overrides.Context.AuthInfo,
	}
}

// check reports the first name that the kubeconfig does not have, with those that it has.
func (a Access) check(config *api.Config, files string) error {
	contexts := slices.Sorted(maps.Keys(config.Contexts))
	names := a.named()
	for _, f := range []struct {
		flag string
		have []string
	}{
		{"--context", contexts},
		{"--cluster", slices.Sorted(maps.Keys(config.Clusters))},
		{"--user", slices.Sorted(maps.Keys(config.AuthInfos))},
	} {
		if name := names[f.flag]; name != "" && !slices.Contains(f.have, name) {
			return fmt.Errorf("%s %q is not in %s: use %s", f.flag, name, files, orNone(f.have))
		}
	}
	switch current := config.CurrentContext; {
	case a.Overrides.CurrentContext != "":
	case current == "" && a.Overrides.Context.Cluster == "":
		return fmt.Errorf("%s has no current context: choose one by --context: %s", files, orNone(contexts))
	case current != "" && config.Contexts[current] == nil:
		return fmt.Errorf("the current context %q is not in %s: choose one by --context: %s", current, files, orNone(contexts))
	}
	_, err := a.timeout()
	return err
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "another file, it has none"
	}
	return strings.Join(names, ", ")
}

// checkCredentials reports why the user of a kubeconfig cannot sign in, as far as that is known before a request.
func checkCredentials(cfg *rest.Config) error {
	if p := cfg.AuthProvider; p != nil && p.Name != "oidc" {
		return fmt.Errorf(
			"its user signs in by the auth provider %q, which is no more: have your cloud's tool write the kubeconfig anew, with a program to "+
				"sign in by, such as kubelogin or gke-gcloud-auth-plugin",
			p.Name,
		)
	}
	if p := cfg.ExecProvider; p != nil {
		if _, err := exec.LookPath(p.Command); err != nil {
			hint := strings.Join(strings.Fields(p.InstallHint), " ")
			if hint == "" {
				hint = "install it"
			}
			return fmt.Errorf("its user signs in by the program %q, which is not found: %s", p.Command, hint)
		}
	}
	return nil
}
