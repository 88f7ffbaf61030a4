package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// object is one of Kthena's, as far as it is looked at.
type object struct {
	Kind     string            `json:"kind"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     spec              `json:"spec"`
}

// spec holds what the rules below look at, of every kind.
type spec struct {
	Backend           backend  `json:"backend"`
	Metrics           []metric `json:"metrics"`
	HomogeneousTarget *struct {
		Target struct {
			TargetRef struct {
				Kind string `json:"kind"`
				Name string `json:"name"`
			} `json:"targetRef"`
		} `json:"target"`
	} `json:"homogeneousTarget"`
	Replicas *int `json:"replicas"`
	Template struct {
		Roles []role `json:"roles"`
	} `json:"template"`
	ModelName        string   `json:"modelName"`
	LoraAdapters     []string `json:"loraAdapters"`
	Rules            []rule   `json:"rules"`
	WorkloadSelector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"workloadSelector"`
}

type backend struct {
	Type    string `json:"type"`
	Workers []struct {
		Type  string `json:"type"`
		Image string `json:"image"`
	} `json:"workers"`
}

type metric struct {
	Name        string            `json:"name"`
	TargetValue resource.Quantity `json:"targetValue"`
}

type role struct {
	Name           string `json:"name"`
	Replicas       *int   `json:"replicas"`
	WorkerReplicas int    `json:"workerReplicas"`
	EntryTemplate  struct {
		Spec struct {
			Containers []struct {
				Image string `json:"image"`
			} `json:"containers"`
		} `json:"spec"`
	} `json:"entryTemplate"`
}

type rule struct {
	ModelMatch struct {
		Headers map[string]struct {
			Regex *string `json:"regex"`
		} `json:"headers"`
	} `json:"modelMatch"`
	TargetModels []struct {
		ModelServerName string `json:"modelServerName"`
		Weight          *int   `json:"weight"`
	} `json:"targetModels"`
}

// validate is what Kthena v1.0.0's validators make of an object, as far as the fields of test/rig/crds go: it says why the object is
// refused, or nothing. They admit every ModelServer.
func validate(raw []byte) (string, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return "", fmt.Errorf("decoding the object: %w", err)
	}
	switch o.Kind {
	case "ModelBooster":
		return faultOfBackend(o.Spec.Backend), nil
	case "AutoscalingPolicy":
		return faultOfPolicy(o.Spec), nil
	case "ModelServing":
		return faultOfServing(o), nil
	case "ModelRoute":
		return faultOfRoute(o.Spec), nil
	}
	return "", nil
}

// validateLater is what versions after v1.0.0 make of a ModelServer.
func validateLater(raw []byte) (string, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return "", fmt.Errorf("decoding the object: %w", err)
	}
	if len(o.Spec.WorkloadSelector.MatchLabels) == 0 {
		return "workloadSelector: at least one label is required", nil
	}
	return "", nil
}

func faultOfBackend(b backend) string {
	for _, w := range b.Workers {
		if fault := faultOfImage(w.Image); fault != "" {
			return fault
		}
	}
	if b.Type == "vLLM" && (len(b.Workers) != 1 || b.Workers[0].Type != "server") {
		return "a backend of type vLLM has one worker, of type server"
	}
	return ""
}

func faultOfPolicy(s spec) string {
	seen := map[string]bool{}
	for _, m := range s.Metrics {
		switch {
		case m.TargetValue.Sign() <= 0:
			return "a metric's target value must be greater than 0"
		case seen[m.Name]:
			return fmt.Sprintf("metric %s is there twice", m.Name)
		}
		seen[m.Name] = true
	}
	switch {
	case s.HomogeneousTarget == nil:
		return "there is no target"
	case s.HomogeneousTarget.Target.TargetRef.Name == "":
		return "the target has no name"
	case s.HomogeneousTarget.Target.TargetRef.Kind != "" && s.HomogeneousTarget.Target.TargetRef.Kind != "ModelServing":
		return "the target is no ModelServing"
	case len(s.Metrics) == 0:
		return "there is no metric"
	}
	return ""
}

func faultOfServing(o object) string {
	if o.Spec.Replicas == nil || *o.Spec.Replicas < 0 {
		return "replicas must not be negative"
	}
	for _, r := range o.Spec.Template.Roles {
		if r.Replicas == nil || *r.Replicas < 0 || r.WorkerReplicas < 0 {
			return "replicas of a role must not be negative"
		}
		if r.WorkerReplicas > 0 {
			return "a role with workers needs a template for them"
		}
		name := fmt.Sprintf("%s-%d-%s-%d-%d", o.Metadata.Name, *o.Spec.Replicas, r.Name, *r.Replicas, r.WorkerReplicas)
		for _, label := range []string{r.Name, name} {
			if faults := validation.IsDNS1035Label(label); faults != nil {
				return fmt.Sprintf("name %q: %s", label, faults[0])
			}
		}
		for _, c := range r.EntryTemplate.Spec.Containers {
			if fault := faultOfImage(c.Image); fault != "" {
				return fault
			}
		}
	}
	return ""
}

func faultOfRoute(s spec) string {
	if s.ModelName == "" && len(s.LoraAdapters) == 0 {
		return "there is neither a modelName nor a LoRA adapter"
	}
	for _, r := range s.Rules {
		total := 0
		for _, m := range r.TargetModels {
			if m.ModelServerName == "" {
				return "modelServerName must not be empty"
			}
			if total += 100; m.Weight != nil {
				total += *m.Weight - 100
			}
		}
		if total == 0 {
			return "the weights of a rule come to nothing"
		}
		for _, h := range r.ModelMatch.Headers {
			if h.Regex == nil {
				continue
			}
			if _, err := regexp.Compile(*h.Regex); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

// faultOfImage refuses what Kthena takes for no name of an image. Empty is none, and is let through.
func faultOfImage(image string) string {
	if strings.Contains(image, " ") {
		return "an image's name cannot contain spaces"
	}
	return ""
}
