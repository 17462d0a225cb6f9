// A provider that knows the form of another provider's configuration and nothing else. Terraform's own `validate` and
// `test` (with mock_provider) ask a provider for its schema: this one reads it out of the file that lies beside the
// program, so that both run for real where the provider itself cannot be had. It makes nothing, and refuses to plan.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// block, attribute and nested are what scripts/terraform/interfaces.json has: the form of
// `terraform providers schema -json`.
type block struct {
	Attributes map[string]attribute `json:"attributes"`
	BlockTypes map[string]nested    `json:"block_types"`
}

type attribute struct {
	Type     json.RawMessage `json:"type"`
	Nested   *nestedType     `json:"nested_type"`
	Required bool            `json:"required"`
	Optional bool            `json:"optional"`
	Computed bool            `json:"computed"`
}

type nestedType struct {
	Attributes map[string]attribute `json:"attributes"`
	Nesting    string               `json:"nesting_mode"`
}

type nested struct {
	Block   block  `json:"block"`
	Nesting string `json:"nesting_mode"`
	Min     int64  `json:"min_items"`
	Max     int64  `json:"max_items"`
}

type facts struct {
	Address   string           `json:"address"`
	Provider  block            `json:"provider"`
	Resources map[string]block `json:"resources"`
	Data      map[string]block `json:"data"`
}

var blockNesting = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov6.SchemaNestedBlockNestingModeList,
	"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
	"map":    tfprotov6.SchemaNestedBlockNestingModeMap,
}

var attributeNesting = map[string]tfprotov6.SchemaObjectNestingMode{
	"single": tfprotov6.SchemaObjectNestingModeSingle,
	"list":   tfprotov6.SchemaObjectNestingModeList,
	"set":    tfprotov6.SchemaObjectNestingModeSet,
	"map":    tfprotov6.SchemaObjectNestingModeMap,
}

func attributes(from map[string]attribute) []*tfprotov6.SchemaAttribute {
	var all []*tfprotov6.SchemaAttribute
	for name, it := range from {
		made := &tfprotov6.SchemaAttribute{Name: name, Required: it.Required, Optional: it.Optional, Computed: it.Computed}
		if it.Nested != nil {
			made.NestedType = &tfprotov6.SchemaObject{
				Attributes: attributes(it.Nested.Attributes),
				Nesting:    attributeNesting[it.Nested.Nesting],
			}
		} else {
			kind, err := tftypes.ParseJSONType(it.Type) //nolint:staticcheck // the only reader of this form
			if err != nil {
				fmt.Fprintf(os.Stderr, "error: the type of %s is unknown: %v\n", name, err)
				os.Exit(1)
			}
			made.Type = kind
		}
		all = append(all, made)
	}
	return all
}

func (it block) schema() *tfprotov6.Schema { return &tfprotov6.Schema{Block: it.block()} }

func (it block) block() *tfprotov6.SchemaBlock {
	made := &tfprotov6.SchemaBlock{Attributes: attributes(it.Attributes)}
	for name, inner := range it.BlockTypes {
		made.BlockTypes = append(made.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: inner.Block.block(), Nesting: blockNesting[inner.Nesting],
			MinItems: inner.Min, MaxItems: inner.Max,
		})
	}
	return made
}

// standIn answers what `validate` asks. The embedded interface is nil: every other question ends the program, and
// Terraform says so.
type standIn struct {
	tfprotov6.ProviderServer
	facts facts
}

func (s standIn) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	made := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for name := range s.facts.Resources {
		made.Resources = append(made.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range s.facts.Data {
		made.DataSources = append(made.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	return made, nil
}

func (s standIn) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	made := &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{},
		Provider:           s.facts.Provider.schema(),
		ResourceSchemas:    map[string]*tfprotov6.Schema{},
		DataSourceSchemas:  map[string]*tfprotov6.Schema{},
	}
	for name, it := range s.facts.Resources {
		made.ResourceSchemas[name] = it.schema()
	}
	for name, it := range s.facts.Data {
		made.DataSourceSchemas[name] = it.schema()
	}
	return made, nil
}

func (s standIn) ValidateProviderConfig(_ context.Context, it *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: it.Config}, nil
}

func (s standIn) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (s standIn) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (s standIn) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func run() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), "schema.json"))
	if err != nil {
		return err
	}
	var known facts
	if err := json.Unmarshal(text, &known); err != nil {
		return err
	}
	return tf6server.Serve(known.Address, func() tfprotov6.ProviderServer { return standIn{facts: known} })
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "error: the stand-in has no schema: %v\n", err)
		os.Exit(1)
	}
}
