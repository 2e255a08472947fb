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

	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Finding is one thing that a rule objects to.
type Finding struct {
	// Path and Value are the offending field and what it holds.
	Path  *field.Path
	Value any
	// Detail names the other object and the remedy, in one line.
	Detail string
	// WarnOnly keeps the finding a warning even where its rule denies.
	WarnOnly bool
}

// Verdict is what an adapter answers with.
type Verdict struct {
	// Errors refuse the change; none means it is allowed.
	Errors field.ErrorList
	// Warnings reach the client in either case.
	Warnings []string
	// Unread are the rules with the severity warn that could not be judged.
	Unread []string

	// denied and warned are the rules behind Errors and Warnings, for the metrics.
	denied, warned []Rule
}

// add files a rule's findings by the severity in force.
func (v *Verdict) add(rule Rule, severity Severity, findings []Finding) {
	for _, f := range findings {
		if severity == Deny && !f.WarnOnly {
			v.denied = append(v.denied, rule)
			v.Errors = append(v.Errors, field.Invalid(f.Path, f.Value, fmt.Sprintf("%s (rule %s)", f.Detail, rule.ID)))
			continue
		}
		v.warned = append(v.warned, rule)
		v.Warnings = append(v.Warnings, fmt.Sprintf("%s: %s (rule %s)", f.Path, f.Detail, rule.ID))
	}
}

// maxFindings bounds what one rule reports about one object, and with it the
// live reads that a hostile object of a thousand addresses can cause.
const maxFindings = 10

// judge runs one rule, unless it is off. What a rule has found counts even when
// it could not look at everything. Only a rule that may refuse has a say in
// what happens to a change that could not be judged.
func judge(ctx context.Context, v *Verdict, rule Rule, severities Severities, check func() ([]Finding, error)) error {
	severity := severities.Of(rule)
	if severity == Off {
		return nil
	}
	findings, err := check()
	v.add(rule, severity, findings)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("rule %s (%s): %w", rule.ID, rule.Name, err)
	if severity != Deny {
		ctrl.LoggerFrom(ctx).Error(err, "Could not judge a rule that warns")
		v.Unread = append(v.Unread, rule.ID)
		return nil
	}
	return err
}
