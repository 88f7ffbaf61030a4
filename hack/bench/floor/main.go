// Command floor is the yardstick of the benchmark: the least work that leaves a Secret, the CA in two webhook
// configurations and three files behind, with nothing but the standard library. It makes the same requests as
// kthena-certgen, one after the other over one connection:
//
//	cold  GET Secret (404), POST Secret, GET and PATCH of each configuration
//	warm  GET Secret, GET of each configuration
//
// It is no product: it checks nothing that it finds, renews nothing, retries nothing, knows one form of kubeconfig and
// overwrites its files in place.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

const admission = "/apis/admissionregistration.k8s.io/v1/"

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig in JSON with one cluster and a user with a token")
	namespace := flag.String("namespace", "", "namespace of the Secret")
	name := flag.String("secret", "", "name of the Secret")
	mutating := flag.String("mutating", "", "MutatingWebhookConfiguration")
	validating := flag.String("validating", "", "ValidatingWebhookConfiguration")
	dns := flag.String("dns", "", "DNS name of the server")
	dir := flag.String("dir", "", "existing folder for the files")
	flag.Parse()
	err := run(*kubeconfig, *namespace, *name, *dns, *dir, []string{
		admission + "mutatingwebhookconfigurations/" + *mutating,
		admission + "validatingwebhookconfigurations/" + *validating,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor: error:", err)
		os.Exit(1)
	}
}

func run(kubeconfig, namespace, name, dns, dir string, configurations []string) error {
	a, err := connect(kubeconfig)
	if err != nil {
		return err
	}
	secrets := "/api/v1/namespaces/" + namespace + "/secrets"
	data, err := ensure(a, secrets, name, dns)
	if err != nil {
		return err
	}
	for _, path := range configurations {
		if err := trust(a, path, data["ca.crt"]); err != nil {
			return err
		}
	}
	for file, content := range data {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o640); err != nil {
			return err
		}
	}
	return nil
}

// ensure returns the data of the Secret, which it creates if need be. Whoever is second uses the winner's.
func ensure(a *api, secrets, name, dns string) (map[string][]byte, error) {
	var s struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]any    `json:"metadata"`
		Type       string            `json:"type"`
		Data       map[string][]byte `json:"data"`
	}
	code, body, err := a.do(http.MethodGet, secrets+"/"+name, "", nil)
	if err != nil {
		return nil, err
	}
	if code == http.StatusNotFound {
		s.APIVersion, s.Kind, s.Type = "v1", "Secret", "kubernetes.io/tls"
		s.Metadata = map[string]any{"name": name}
		if s.Data, err = generate(dns); err != nil {
			return nil, err
		}
		request, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		if code, body, err = a.do(http.MethodPost, secrets, "application/json", request); err != nil {
			return nil, err
		}
		if code == http.StatusConflict {
			if code, body, err = a.do(http.MethodGet, secrets+"/"+name, "", nil); err != nil {
				return nil, err
			}
		}
	}
	if code != http.StatusOK && code != http.StatusCreated {
		return nil, fmt.Errorf("ensuring the Secret: %d %s", code, body)
	}
	return s.Data, json.Unmarshal(body, &s)
}

// trust puts ca into every webhook of the configuration at path, unless it is there.
func trust(a *api, path string, ca []byte) error {
	code, body, err := a.do(http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	var c struct {
		Webhooks []struct {
			ClientConfig struct {
				CABundle []byte `json:"caBundle"`
			} `json:"clientConfig"`
		} `json:"webhooks"`
	}
	if code != http.StatusOK {
		return fmt.Errorf("getting %s: %d %s", path, code, body)
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value []byte `json:"value"`
	}
	var patch []operation
	for i, w := range c.Webhooks {
		if !bytes.Equal(w.ClientConfig.CABundle, ca) {
			patch = append(patch, operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), ca})
		}
	}
	if patch == nil {
		return nil
	}
	request, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	code, body, err = a.do(http.MethodPatch, path, "application/json-patch+json", request)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("patching %s: %d %s", path, code, body)
	}
	return err
}
