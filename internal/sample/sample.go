// Package sample holds objects of Kthena's kinds, as small as Kthena lets them be: for each kind a spec that its webhooks must
// admit, and one that they must refuse though it fits the kind's schema.
package sample

import (
	"encoding/json"
	"fmt"
)

// Sample is a kind with two specs, for the versions of Kthena whose schema takes them.
type Sample struct {
	Kind string
	// Valid is a spec that the webhooks admit.
	Valid json.RawMessage
	// Invalid is one that they refuse. It fits the schema wherever Valid does.
	Invalid json.RawMessage
	// MayAdmit says that a version of Kthena with this schema is known, or cannot be ruled out, whose webhook admits Invalid:
	// that it was admitted then says nothing.
	MayAdmit bool
}

// Of are the samples of one of Kthena's resources: of Kthena v1.0.0, then of the versions before it where their schema differs
// (docs/kthena/versioned_docs in Kthena's repository). Nil: the resource is none of Kthena v1.0.0's that have webhooks.
//
// What makes each second spec invalid: a name of an image with a blank, two metrics of one name, a regular expression that is
// none, labels that select nothing.
func Of(resource string) []Sample {
	switch resource {
	case "modelboosters":
		const format = `{"backend":{"name":"sample","type":"vLLM","modelURI":"hf://kthena-certgen/sample",%s,` +
			`"workers":[{"type":"server","image":%q,"replicas":1,"pods":1}]}}`
		const now, before = `"replicas":1`, `"minReplicas":1,"maxReplicas":1`
		return []Sample{
			of("ModelBooster", fmt.Sprintf(format, now, "sample"), fmt.Sprintf(format, now, "not an image")),
			of("ModelBooster", fmt.Sprintf(format, before, "sample"), fmt.Sprintf(format, before, "not an image")).orAdmitted(),
		}
	case "autoscalingpolicies":
		const format = `{"metrics":[{"name":"a","targetValue":"1"},{"name":%q,"targetValue":"1"}],` +
			`"homogeneousTarget":{"target":{"targetRef":{"kind":"ModelServing","name":"sample"}},"minReplicas":1,"maxReplicas":1}}`
		const before = `{"metrics":[{"metricName":"a","targetValue":"1"},{"metricName":%q,"targetValue":"1"}]}`
		return []Sample{
			of("AutoscalingPolicy", fmt.Sprintf(format, "b"), fmt.Sprintf(format, "a")),
			of("AutoscalingPolicy", fmt.Sprintf(before, "b"), fmt.Sprintf(before, "a")).orAdmitted(),
		}
	case "modelservings":
		const format = `{"replicas":1,"template":{"roles":[{"name":"sample","replicas":1,"workerReplicas":0,` +
			`"entryTemplate":{"spec":{"containers":[{"name":"sample","image":%q}]}}}]}}`
		return []Sample{of("ModelServing", fmt.Sprintf(format, "sample"), fmt.Sprintf(format, "not an image"))}
	case "modelroutes":
		const format = `{"modelName":"sample","rules":[{"modelMatch":{"headers":{"sample":{"regex":%q}}},` +
			`"targetModels":[{"modelServerName":"sample"}]}]}`
		return []Sample{of("ModelRoute", fmt.Sprintf(format, "sample"), fmt.Sprintf(format, "("))}
	case "modelservers":
		// Kthena v1.0.0 admits every ModelServer; later versions refuse one without labels, by the same schema.
		const format = `{"inferenceEngine":"vLLM","workloadSelector":{"matchLabels":{%s}},"workloadPort":{"port":8000}}`
		return []Sample{of("ModelServer", fmt.Sprintf(format, `"sample":"sample"`), fmt.Sprintf(format, "")).orAdmitted()}
	}
	return nil
}

func of(kind, valid, invalid string) Sample {
	return Sample{Kind: kind, Valid: json.RawMessage(valid), Invalid: json.RawMessage(invalid)}
}

func (s Sample) orAdmitted() Sample {
	s.MayAdmit = true
	return s
}
