/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package webhooks

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// stuck is a world that answers nothing before the time is over.
type stuck struct {
	*memory
	asked func()
}

func (s stuck) ServicesByVIP(ctx context.Context, _ netip.Addr, _ func(*corev1.Service) bool) ([]*corev1.Service, error) {
	if ctx.Err() == nil {
		s.asked()
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func nothing() {}

func TestWhatOurTimeIsNotEnoughForIsRefused(t *testing.T) {
	hurried := Validation{World: stuck{&memory{}, nothing}, patience: time.Millisecond}
	web := service("web", external("192.0.2.1"))
	_, err := (&ServiceValidator{hurried}).ValidateCreate(t.Context(), web)
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "add fewer addresses and ports at a time") {
		t.Errorf("got %v, want a refusal with its remedy", err)
	}

	audited := hurried
	audited.Audit = true
	warnings, err := (&ServiceValidator{audited}).ValidateCreate(t.Context(), web)
	if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], auditPrefix) {
		t.Errorf("audited: got %q and %v", warnings, err)
	}

	advised := hurried
	advised.Severities = Severities{RuleExternalIPInUse.ID: Warn}
	warnings, err = (&ServiceValidator{advised}).ValidateCreate(t.Context(), web)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "could not judge rule X1") {
		t.Errorf("a rule that warns: got %q and %v", warnings, err)
	}

	ctx, hangUp := context.WithCancel(t.Context())
	patient := Validation{World: stuck{&memory{}, hangUp}, patience: time.Hour}
	warnings, err = (&ServiceValidator{patient}).ValidateCreate(ctx, web)
	if err != nil || len(warnings) != 1 {
		t.Errorf("whose caller has gone: got %q and %v", warnings, err)
	}
}

// large is a Service of so many addresses that it waits for its turn.
func large(namespace string) *corev1.Service {
	svc := service("web")
	svc.Namespace = namespace
	for i := range maxNewAddresses {
		svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, fmt.Sprintf("203.0.113.%d", i))
	}
	return svc
}

// A flood of one namespace waits for itself, and what it does not get to is refused.
func TestAFloodTakesNoTurnsFromOthers(t *testing.T) {
	begun := make(chan string, 1000)
	v, strict := twice(Validation{patience: time.Hour})
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	ask := func(validation Validation, namespace string) error {
		validation.World = stuck{&memory{}, func() { begun <- namespace }}
		_, err := (&ServiceValidator{validation}).ValidateCreate(ctx, large(namespace))
		return err
	}
	askLater := func(validation Validation, namespace string) {
		go func() {
			_ = ask(validation, namespace)
			done <- struct{}{}
		}()
	}
	flood := 40
	for i := range flood {
		askLater([]Validation{v, strict}[i%2], "flood")
	}
	if got := <-begun; got != "flood" {
		t.Errorf("%s begun", got)
	}
	for i := 1; i < largeAtOnce; i++ {
		namespace := fmt.Sprintf("other-%d", i)
		askLater(v, namespace)
		if got := <-begun; got != namespace {
			t.Errorf("%s begun, want %s: another namespace has a turn of its own", got, namespace)
		}
	}

	hurried := v
	hurried.patience = 50 * time.Millisecond
	for _, namespace := range []string{"flood", "one too many"} {
		if err := ask(hurried, namespace); !apierrors.IsServiceUnavailable(err) || len(begun) > 0 {
			t.Errorf("%s: got %v and %d begun, want a refusal", namespace, err, len(begun))
		}
	}
	prompt := v
	prompt.World = reserved
	if _, err := (&ServiceValidator{prompt}).ValidateCreate(t.Context(), service("good", external("192.0.2.1"))); err != nil {
		t.Errorf("a small good one: %v", err)
	}
	if _, err := (&ServiceValidator{prompt}).ValidateCreate(t.Context(), service("bad", external("10.96.0.1"))); !apierrors.IsInvalid(err) {
		t.Errorf("a small bad one: got %v", err)
	}

	end()
	for range flood + largeAtOnce - 1 {
		<-done
	}
	if len(v.turns.lanes) > 0 || len(v.turns.all) > 0 {
		t.Errorf("%d lanes and %d turns are left", len(v.turns.lanes), len(v.turns.all))
	}
}

func TestWhoMayUseAnAddressComesFirst(t *testing.T) {
	world := &tally{memory: crowded()}
	world.required = v1alpha1.UseExternalIP
	got, err := ValidateService(t.Context(), world, nil, ServiceChange{New: large("elsewhere")})
	if err != nil || len(got.Errors) != maxFindings {
		t.Fatalf("got %v and %v", got.Errors, err)
	}
	for _, refused := range got.Errors {
		if !strings.Contains(refused.Error(), "rule X5") {
			t.Errorf("got %v", refused)
		}
	}
	if world.looks > 5*maxFindings {
		t.Errorf("%d look-ups after what refuses it", world.looks)
	}
}
