package verify

import (
	"encoding/json"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The objects that are read, as far as they are looked at. The types of k8s.io/api would be linked with all of their
// generated code.

type list[T any] struct {
	Items []T `json:"items"`
}

// configuration is a webhook configuration of either kind; what differs between their entries is not looked at.
type configuration struct {
	Metadata metav1.ObjectMeta               `json:"metadata"`
	Webhooks []admissionv1.ValidatingWebhook `json:"webhooks"`
}

type service struct {
	Spec struct {
		ClusterIP string `json:"clusterIP"`
		Ports     []struct {
			Name string `json:"name"`
			Port int    `json:"port"`
		} `json:"ports"`
	} `json:"spec"`
}

// EndpointSlice is one of the API's.
type EndpointSlice struct {
	Endpoints []struct {
		Addresses  []string `json:"addresses"`
		Conditions struct {
			Ready *bool `json:"ready"`
		} `json:"conditions"`
		TargetRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"targetRef"`
	} `json:"endpoints"`
	Ports []struct {
		Name string `json:"name"`
		Port int    `json:"port"`
	} `json:"ports"`
}

type deployment struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Replicas *int `json:"replicas"`
		Template struct {
			Spec podSpec `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		AvailableReplicas int `json:"availableReplicas"`
	} `json:"status"`
}

type podSpec struct {
	InitContainers []container `json:"initContainers"`
	Containers     []container `json:"containers"`
	Volumes        []struct {
		Name   string `json:"name"`
		Secret struct {
			SecretName string `json:"secretName"`
		} `json:"secret"`
	} `json:"volumes"`
}

type container struct {
	Args         []string      `json:"args"`
	VolumeMounts []volumeMount `json:"volumeMounts"`
}

type storedSecret struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Data     map[string][]byte `json:"data"`
}

// certificate is one of cert-manager's.
type certificate struct {
	Status struct {
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"conditions"`
	} `json:"status"`
}

type volumeMount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
}

// flag returns the values of an argument --name=value.
func (c container) flag(name string) []string {
	var values []string
	for _, arg := range c.Args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

// mounted says what serves the files of a folder in the pods: the volume's Secret, or in auto mode the Secret and the DNS
// names of the init container that writes them.
func (p podSpec) mounted(folder string) (secret string, dnsNames []string) {
	volume := ""
	for _, c := range p.Containers {
		for _, m := range c.VolumeMounts {
			if m.MountPath == folder {
				volume = m.Name
			}
		}
	}
	for _, v := range p.Volumes {
		if v.Name == volume && v.Secret.SecretName != "" {
			return v.Secret.SecretName, nil
		}
	}
	for _, c := range p.InitContainers {
		names := c.flag("--secret-name")
		writes := slices.ContainsFunc(c.VolumeMounts, func(m volumeMount) bool { return m.Name == volume })
		if volume != "" && writes && len(names) == 1 {
			return names[0], c.flag("--dns-name")
		}
	}
	return "", nil
}

// managers are the names of those who have written an object, without repetitions.
func managers(m metav1.ObjectMeta) []string {
	var names []string
	for _, f := range m.ManagedFields {
		names = append(names, f.Manager)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// bundleManagers are those who own the caBundle of an entry, by the form of FieldsV1 that the API server keeps.
func bundleManagers(m metav1.ObjectMeta, entry string) []string {
	key, _ := json.Marshal(map[string]string{"name": entry}) // strings always marshal
	var names []string
	for _, f := range m.ManagedFields {
		if f.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Webhooks map[string]struct {
				ClientConfig map[string]json.RawMessage `json:"f:clientConfig"`
			} `json:"f:webhooks"`
		}
		if json.Unmarshal(f.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		if _, ok := fields.Webhooks["k:"+string(key)].ClientConfig["f:caBundle"]; ok {
			names = append(names, f.Manager)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
