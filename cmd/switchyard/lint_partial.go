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

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// withoutRules judges for who may not read what the rules need, such as a user
// with rights in one namespace: what a server says to the change, and numbers of
// Services in the object's own namespace.
func withoutRules(config *rest.Config, lacks error) (*clusterJudge, error) {
	scheme, err := lintScheme()
	if err != nil {
		return nil, err
	}
	live, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	judge := judgeBy(live, live)
	judge.ruleless = true
	judge.leaveOut(lacks)
	return judge, nil
}

// leaveOut remembers what could not be read, once.
func (j *clusterJudge) leaveOut(err error) {
	if text := err.Error(); !slices.Contains(j.unread, text) {
		j.unread = append(j.unread, text)
	}
}

// numbersFor are those that an object of the namespace can clash with, as far as
// they may be listed; the missing right is known already.
func (j *clusterJudge) numbersFor(ctx context.Context, namespace string) (*allocator.Services, error) {
	if !j.ruleless {
		return j.numbers()
	}
	numbers, err := numbersIn(ctx, j.live, client.InNamespace(namespace))
	if apierrors.IsForbidden(err) {
		return allocator.NewServices(allocator.DefaultNodePorts), nil
	}
	return numbers, err
}

// partial is the error of a report without all that was asked for.
func partial(notRead []string) error {
	var errs []error
	for _, text := range notRead {
		errs = append(errs, errors.New(text))
	}
	return fmt.Errorf("not all rules could be asked: %w: ask for a role with the rights that docs/lint.md lists", errors.Join(errs...))
}
