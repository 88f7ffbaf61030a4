package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// container is a container as far as it is looked at.
type container struct {
	Image string `json:"image"`
}

// spec holds what the rules below look at, of every kind.
type spec struct {
	Backend struct {
		Workers []container `json:"workers"`
	} `json:"backend"`
	Metrics []struct {
		Name string `json:"name"`
	} `json:"metrics"`
	Template struct {
		Roles []struct {
			EntryTemplate struct {
				Spec struct {
					Containers []container `json:"containers"`
				} `json:"spec"`
			} `json:"entryTemplate"`
		} `json:"roles"`
	} `json:"template"`
	Rules []struct {
		ModelMatch struct {
			Headers map[string]struct {
				Regex string `json:"regex"`
			} `json:"headers"`
		} `json:"modelMatch"`
	} `json:"rules"`
	WorkloadSelector *struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"workloadSelector"`
}

// validate is one rule of each of Kthena's validators, that of kthena-certgen verify: it says why an object is refused, or
// nothing. Unlike Kthena's it lets a spec pass that lacks what the rule is about.
func validate(object []byte) (string, error) {
	var o struct {
		Kind string `json:"kind"`
		Spec spec   `json:"spec"`
	}
	if err := json.Unmarshal(object, &o); err != nil {
		return "", fmt.Errorf("decoding the spec: %w", err)
	}
	var images []container
	switch o.Kind {
	case "ModelBooster":
		images = o.Spec.Backend.Workers
	case "ModelServing":
		for _, role := range o.Spec.Template.Roles {
			images = append(images, role.EntryTemplate.Spec.Containers...)
		}
	case "AutoscalingPolicy":
		seen := map[string]bool{}
		for _, m := range o.Spec.Metrics {
			if seen[m.Name] {
				return fmt.Sprintf("duplicate metric name %s is not allowed", m.Name), nil
			}
			seen[m.Name] = true
		}
	case "ModelRoute":
		for _, rule := range o.Spec.Rules {
			for _, h := range rule.ModelMatch.Headers {
				if fault := faultOfRegexp(h.Regex); fault != "" {
					return fault, nil
				}
			}
		}
	case "ModelServer":
		if o.Spec.WorkloadSelector != nil && len(o.Spec.WorkloadSelector.MatchLabels) == 0 {
			return "labels must contain at least one label", nil
		}
	}
	for _, c := range images {
		if strings.Contains(c.Image, " ") {
			return "image cannot contain spaces", nil
		}
	}
	return "", nil
}

// faultOfRegexp is what is wrong with a regular expression, and empty when nothing is.
func faultOfRegexp(pattern string) string {
	if _, err := regexp.Compile(pattern); err != nil {
		return err.Error()
	}
	return ""
}
