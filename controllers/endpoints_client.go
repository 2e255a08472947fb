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

package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// endpointsClient is for writers of Endpoints. Of each write the API server warns
// that the kind is deprecated (KEP-4974); that is for people who could do without,
// and at the start of 5,000 Services it would be 5,000 lines of a log.
//
// What is updated is given its new metadata and not read again.
func endpointsClient(config *rest.Config, options client.Options) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.WarningHandler, config.WarningHandlerWithContext = nil, rest.NoWarnings{}
	if options.HTTPClient == nil {
		var err error
		if options.HTTPClient, err = rest.HTTPClientFor(config); err != nil {
			return nil, err
		}
	}
	whole, err := client.New(config, options)
	if err != nil {
		return nil, err
	}
	answers, err := newMetadataAnswers(config, options.HTTPClient, corev1.SchemeGroupVersion.WithResource("endpoints"))
	return endpointsWithoutAnswers{whole, answers}, err
}

type endpointsWithoutAnswers struct {
	client.Client
	answers metadataAnswers
}

// Update implements client.Client.
func (c endpointsWithoutAnswers) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	endpoints, ok := object.(*corev1.Endpoints)
	if !ok {
		return c.Client.Update(ctx, object, options...)
	}
	asked := client.UpdateOptions{}
	asked.ApplyOptions(options)
	answer, err := c.answers.update(ctx, endpoints, asked.AsUpdateOptions())
	if err != nil {
		return err
	}
	endpoints.ObjectMeta = *answer
	return nil
}
