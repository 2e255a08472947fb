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

package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
)

// Client asks a supervisor.
type Client struct {
	http http.Client
}

// NewClient asks the supervisor that listens on the unix socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status returns the state of the cluster.
func (c *Client) Status(ctx context.Context) (Status, error) {
	response, err := c.do(ctx, http.MethodGet, statusPath)
	if err != nil {
		return Status{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var status Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return Status{}, fmt.Errorf("reading the answer of the cluster's supervisor: %w", err)
	}
	return status, nil
}

// Down asks the cluster to end, and returns before it has.
func (c *Client) Down(ctx context.Context) error {
	response, err := c.do(ctx, http.MethodPost, downPath)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the cluster's supervisor: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		_ = response.Body.Close()
		return nil, fmt.Errorf("asking the cluster's supervisor: %s", response.Status)
	}
	return response, nil
}
