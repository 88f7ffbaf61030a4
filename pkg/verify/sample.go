package verify

import (
	"context"
	"fmt"
)

// sample is a kind with two specs: one that Kthena's webhooks must admit, and one that they must refuse though it fits the
// kind's schema. Both are as small as Kthena v1.0.0 lets them be.
type sample struct {
	kind    string
	valid   string
	invalid string
}

// kthenaSample is that of one of Kthena's kinds, nil for another resource. What makes each second spec invalid: a name of an
// image with a blank, two metrics of one name, a regular expression that is none, labels that select nothing.
func kthenaSample(resource string) *sample {
	switch resource {
	case "modelboosters":
		const format = `{"backend":{"name":"verify","type":"vLLM","modelURI":"hf://kthena-certgen/verify","minReplicas":1,"maxReplicas":1,` +
			`"workers":[{"type":"server","image":%q,"replicas":1,"pods":1}]}}`
		return &sample{"ModelBooster", fmt.Sprintf(format, "verify"), fmt.Sprintf(format, "not an image")}
	case "autoscalingpolicies":
		const format = `{"metrics":[{"name":"a","targetValue":"1"},{"name":%q,"targetValue":"1"}],` +
			`"homogeneousTarget":{"target":{"targetRef":{"kind":"ModelServing","name":"verify"}},"minReplicas":1,"maxReplicas":1}}`
		return &sample{"AutoscalingPolicy", fmt.Sprintf(format, "b"), fmt.Sprintf(format, "a")}
	case "modelservings":
		const format = `{"replicas":1,"template":{"roles":[{"name":"verify","replicas":1,"workerReplicas":0,` +
			`"entryTemplate":{"spec":{"containers":[{"name":"verify","image":%q}]}}}]}}`
		return &sample{"ModelServing", fmt.Sprintf(format, "verify"), fmt.Sprintf(format, "not an image")}
	case "modelroutes":
		const format = `{"modelName":"verify","rules":[{"modelMatch":{"headers":{"verify":{"regex":%q}}},"targetModels":[{"modelServerName":"verify"}]}]}`
		return &sample{"ModelRoute", fmt.Sprintf(format, "verify"), fmt.Sprintf(format, "(")}
	case "modelservers":
		const format = `{"inferenceEngine":"vLLM","workloadSelector":{"matchLabels":{%s}},"workloadPort":{"port":8000}}`
		return &sample{"ModelServer", fmt.Sprintf(format, `"verify":"verify"`), fmt.Sprintf(format, "")}
	}
	return nil
}

// sampleOf is the sample of a resource. For one that Kthena v1.0.0 does not have it is an empty object: whatever a webhook says to
// it is an answer. It is nil when the API server lacks the kind.
func (v *Verifier) sampleOf(ctx context.Context, a *asked) (*sample, error) {
	if s := kthenaSample(a.resource); s != nil {
		return s, nil
	}
	kind, err := v.kindOf(ctx, a)
	if err != nil || kind == "" {
		return nil, err
	}
	return &sample{kind: kind, valid: "{}"}, nil
}
