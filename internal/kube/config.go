package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/homedir"
)

// Config says where the API server is and who we are there: by the kubeconfig file when one is given, else by the files
// that the environment variable KUBECONFIG names, else by the pod's service account, and outside a pod by the file that kubectl
// uses, ~/.kube/config.
func Config(kubeconfig string) (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	source := "--kubeconfig"
	if kubeconfig == "" {
		source = clientcmd.RecommendedConfigPathEnvVar
		rules.Precedence = filepath.SplitList(os.Getenv(source))
	}
	if kubeconfig == "" && len(rules.Precedence) == 0 {
		cfg, err := rest.InClusterConfig()
		if err == nil {
			return cfg, nil
		}
		if !errors.Is(err, rest.ErrNotInCluster) {
			return nil, fmt.Errorf("reading the pod's service account: %w", err)
		}
		source = "~/.kube/config"
		path := filepath.Join(homedir.HomeDir(), clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no %s: name a kubeconfig file", source)
		}
		rules.Precedence = []string{path}
	}
	// Not clientcmd's deferred loading: that falls back to the pod's service account when the files hold nothing, and so
	// would act on another cluster than the one that was named.
	config, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("%s: reading the kubeconfig: %w", source, err)
	}
	if api.IsConfigEmpty(config) {
		return nil, fmt.Errorf("%s: %s: there is no kubeconfig, or it is empty", source, strings.Join(rules.GetLoadingPrecedence(), ", "))
	}
	cfg, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("%s: using the kubeconfig: %w", source, err)
	}
	return cfg, nil
}
