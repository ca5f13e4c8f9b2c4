package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// The types of admission.k8s.io/v1, as far as they are used.
// (https://kubernetes.io/docs/reference/config-api/apiserver-admission.v1/)
type admissionReview struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Request    *admissionRequest  `json:"request,omitempty"`
	Response   *admissionResponse `json:"response,omitempty"`
}

type admissionRequest struct {
	UID  string `json:"uid"`
	Kind struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	} `json:"kind"`
	SubResource string          `json:"subResource"`
	Name        string          `json:"name"`
	Namespace   string          `json:"namespace"`
	Operation   string          `json:"operation"`
	Object      json.RawMessage `json:"object"`
	DryRun      bool            `json:"dryRun"`
}

type admissionResponse struct {
	UID       string           `json:"uid"`
	Allowed   bool             `json:"allowed"`
	Status    *admissionStatus `json:"status,omitempty"`
	Patch     []byte           `json:"patch,omitempty"`
	PatchType string           `json:"patchType,omitempty"`
	Warnings  []string         `json:"warnings,omitempty"`
}

type admissionStatus struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

const (
	reviewVersion = "admission.k8s.io/v1"
	reviewKind    = "AdmissionReview"
)

// reasons are the words of Kubernetes for the codes of a refusal.
var reasons = map[int]string{http.StatusForbidden: "Forbidden", http.StatusUnprocessableEntity: "Invalid",
	http.StatusInternalServerError: "InternalError"}

// maxDepth bounds the nesting of a review. Pods have less than 20.
const maxDepth = 100

var errReview = errors.New("not an AdmissionReview of " + reviewVersion)

// outcome is a review with what log and metrics say of it.
type outcome struct {
	request  *admissionRequest
	pod      string // name, or the beginning of one
	result   string
	profile  string
	message  string // why it was refused
	warnings []string
}

// review answers one AdmissionReview. An error wraps errReview: there is nothing to answer.
func (in *Injector) review(body []byte, always bool) (answer []byte, o *outcome, err error) {
	if !shallow(body, maxDepth) {
		return nil, nil, fmt.Errorf("%w: nested too deep", errReview)
	}
	var r admissionReview
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errReview, err)
	}
	if r.APIVersion != reviewVersion || r.Kind != reviewKind || r.Request == nil || r.Request.UID == "" {
		return nil, nil, errReview
	}
	o = &outcome{request: r.Request, pod: r.Request.Name, result: resultSkipped}
	response := &admissionResponse{UID: r.Request.UID, Allowed: true}
	if q := r.Request; q.Operation == "CREATE" && q.SubResource == "" && q.Kind.Group == "" && q.Kind.Kind == "Pod" {
		if err := in.admit(q, always, response, o); err != nil {
			return nil, nil, err
		}
	}
	answer, err = json.Marshal(admissionReview{APIVersion: reviewVersion, Kind: reviewKind, Response: response})
	return answer, o, err
}

// admit decides about a new pod.
func (in *Injector) admit(q *admissionRequest, always bool, response *admissionResponse, o *outcome) error {
	p, err := parsePod(q.Object)
	if err != nil {
		return fmt.Errorf("%w: %w", errReview, err)
	}
	if o.pod == "" {
		if o.pod = p.Metadata.Name; o.pod == "" {
			o.pod = p.Metadata.GenerateName
		}
	}
	d, err := in.decide(p, q.Namespace, always)
	var no *refusal
	if errors.As(err, &no) {
		o.result, o.message = resultRefused, no.message
		response.Allowed = false
		response.Status = &admissionStatus{no.code, reasons[no.code], "s3veil: " + no.message}
		return nil
	}
	if err != nil {
		return err
	}
	o.result, o.profile, o.warnings = d.result, d.profile, d.warnings
	for _, w := range d.warnings {
		response.Warnings = append(response.Warnings, "s3veil: "+w)
	}
	if len(d.patch) > 0 {
		response.PatchType = "JSONPatch"
		response.Patch, err = json.Marshal(d.patch)
	}
	return err
}

// shallow reports whether JSON is nested at most so deep. It looks at brackets outside strings alone.
func shallow(text []byte, most int) bool {
	depth, inside := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
