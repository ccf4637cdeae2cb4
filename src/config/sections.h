#pragma once

#include "config/reader.h"
#include "config/settings.h"

namespace entrepot::config {

[[nodiscard]] const Section<TlsSettings>& tls_section();
[[nodiscard]] const Section<ListenSettings>& listen_section();
[[nodiscard]] const Section<ListenSettings>& admin_section();
[[nodiscard]] const Section<ClientTimeouts>& client_timeouts_section();
[[nodiscard]] const Section<ClientHttp2>& client_http2_section();
/// `127.0.0.1:4100`, `[::1]:4100`, or the map.
void read_listen(Reader& reader, const Node& node, ListenSettings& out);
void read_admin(Reader& reader, const Node& node, ListenSettings& out);

[[nodiscard]] const Section<UpstreamTimeouts>& upstream_timeouts_section();
[[nodiscard]] const Section<CredentialSettings>& credentials_section();
[[nodiscard]] const Section<CloudSettings>& cloud_section();
void read_cloud(Reader& reader, const Node::Member& member, CloudSettings& out);

[[nodiscard]] const Section<PriceOverride>& price_section();
[[nodiscard]] const Section<OfferSettings>& offer_section();
[[nodiscard]] const Section<ModelSettings>& model_section();
void read_model(Reader& reader, const Node::Member& member, ModelSettings& out);

[[nodiscard]] const Section<NotifySettings>& notify_section();
[[nodiscard]] const Section<WebhookSettings>& webhook_section();
[[nodiscard]] const Section<BudgetSettings>& budget_section();
[[nodiscard]] const Section<OrgSettings>& org_section();
[[nodiscard]] const Section<TeamSettings>& team_section();
[[nodiscard]] const Section<ProjectSettings>& project_section();
[[nodiscard]] const Section<EndUserSettings>& end_user_section();
[[nodiscard]] const Section<auth::Limits>& limits_section();
[[nodiscard]] const Section<auth::Policy>& policy_section();
[[nodiscard]] const Section<PassRule>& pass_section();
[[nodiscard]] const Section<KeySettings>& key_section();

/// A currency, which must be the books' own; `what` is stated in it.
void read_books_currency(Reader& reader, const Node& node, std::string_view what, Currency& out);

// Contracts and what stands in them.
[[nodiscard]] const Section<contracts::Shortfall>& shortfall_section();
[[nodiscard]] const Section<contracts::Milestone>& milestone_section();
[[nodiscard]] const Section<contracts::Marketplace>& marketplace_section();
[[nodiscard]] const Section<contracts::Selector>& eligible_section();
[[nodiscard]] const Section<contracts::Commitment>& commitment_section();
[[nodiscard]] const Section<contracts::Discount>& discount_section();
[[nodiscard]] const Section<pricing::TermVolume::Step>& step_section();
[[nodiscard]] const Section<contracts::Volume>& volume_section();
[[nodiscard]] const Section<contracts::StatedPrices>& stated_price_section();
[[nodiscard]] const Section<contracts::StatedPrices>& stated_section();
[[nodiscard]] const Section<RoundingRule>& rounding_section();
[[nodiscard]] const Section<contracts::Provisioned>& provisioned_section();
[[nodiscard]] const Section<contracts::Constraints::Only>& only_section();
[[nodiscard]] const Section<contracts::Constraints>& constraints_section();
[[nodiscard]] const Section<contracts::Contract>& contract_section();
void read_contract(Reader& reader, const Node::Member& member, contracts::Contract& out);

/// Letters, digits, `.`, `_`, `-`: names of clouds, offers, orgs, teams and keys. At most 64.
void check_name(Reader& reader, const Node::Member& member);

}  // namespace entrepot::config
