#include "cloudsim/refusals.h"

#include <algorithm>
#include <array>

// Each supplier's refusals in its own words: what their documentation states, their servers were
// recorded saying, or their clients look for. Shape and status are the supplier's, however odd.
namespace entrepot::cloudsim {
namespace {

struct Row {
    std::string_view kind;  ///< of the cloud
    std::string_view name;
    int status;
    std::string_view error_type;  ///< AWS's header; empty elsewhere
    std::string_view body;
};

constexpr std::array kRows{
    Row{"openai", "rate_limit", 429, "",
        R"({"error":{"message":"Rate limit reached for gpt-4o-mini in organization )"
        R"(org-Simulated0001 on requests per min (RPM): Limit 3, Used 3, Requested 1. Please )"
        R"(try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}})"},
    Row{"openai", "account_dry", 429, "",
        R"({"error":{"message":"You exceeded your current quota, please check your plan and )"
        R"(billing details.","type":"insufficient_quota","param":null,)"
        R"("code":"insufficient_quota"}})"},
    Row{"openai", "overloaded", 503, "",
        R"({"error":{"message":"The engine is currently overloaded, please try again later.",)"
        R"("type":"server_error","param":null,"code":null}})"},
    Row{"openai", "server", 500, "",
        R"({"error":{"message":"The server had an error while processing your request. Sorry )"
        R"(about that!","type":"server_error","param":null,"code":null}})"},
    Row{"openai", "timeout", 504, "",
        R"({"error":{"message":"The request took too long to process.","type":"server_error",)"
        R"("param":null,"code":"timeout"}})"},
    Row{"openai", "context", 400, "",
        R"({"error":{"message":"This model's maximum context length is 128000 tokens. However, )"
        R"(your messages resulted in 130011 tokens. Please reduce the length of the messages.",)"
        R"("type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})"},
    Row{"openai", "content_filter", 400, "",
        R"({"error":{"message":"Your request was rejected as a result of our safety system.",)"
        R"("type":"invalid_request_error","param":null,"code":"content_policy_violation"}})"},
    Row{"openai", "bad_key", 401, "",
        R"({"error":{"message":"Incorrect API key provided: sk-Simul*****0001. You can find )"
        R"(your API key at https://platform.openai.com/account/api-keys.",)"
        R"("type":"invalid_request_error","param":null,"code":"invalid_api_key"}})"},
    Row{"openai", "no_permission", 403, "",
        R"({"error":{"message":"Project `proj_Simulated0001` does not have access to model )"
        R"(`gpt-4o-mini`","type":"invalid_request_error","param":null,)"
        R"("code":"model_not_allowed"}})"},
    Row{"openai", "model_missing", 404, "",
        R"({"error":{"message":"The model `gpt-4o-mini` does not exist or you do not have )"
        R"(access to it.","type":"invalid_request_error","param":null,)"
        R"("code":"model_not_found"}})"},
    Row{"openai", "too_large", 413, "",
        R"({"error":{"message":"Request entity too large.","type":"invalid_request_error",)"
        R"("param":null,"code":null}})"},
    Row{"openai", "invalid", 400, "",
        R"({"error":{"message":"Invalid value for 'temperature': expected at most 2.",)"
        R"("type":"invalid_request_error","param":"temperature","code":"invalid_value"}})"},
    Row{"openai_compatible", "rate_limit", 429, "",
        R"({"object":"error","message":"Requests rate limit exceeded","type":"rate_limited",)"
        R"("param":null,"code":"1300"})"},
    Row{"openai_compatible", "account_dry", 402, "",
        R"({"error":{"message":"Insufficient credits. Add more using the billing page.",)"
        R"("code":402}})"},
    Row{"openai_compatible", "overloaded", 503, "",
        R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})"},
    Row{"openai_compatible", "server", 500, "", R"({"detail":"Internal Server Error"})"},
    Row{"openai_compatible", "timeout", 504, "",
        R"(<html><body>504 Gateway Time-out</body></html>)"},
    Row{"openai_compatible", "context", 400, "",
        R"({"object":"error","message":"This model's maximum context length is 32768 tokens. )"
        R"(However, you requested 33100 tokens (32588 in the messages, 512 in the completion). )"
        R"(Please reduce the length of the messages or completion.","type":"BadRequestError",)"
        R"("param":null,"code":400})"},
    Row{"openai_compatible", "content_filter", 400, "",
        R"({"error":{"message":"The response was filtered due to the prompt triggering the )"
        R"(content management policy.","type":null,"param":"prompt","code":"content_filter"}})"},
    Row{"openai_compatible", "bad_key", 401, "", R"({"detail":"Unauthorized"})"},
    Row{"openai_compatible", "no_permission", 403, "",
        R"({"error":"Your team does not have access to this model.","code":"The caller does )"
        R"(not have permission to execute the specified operation"})"},
    Row{"openai_compatible", "model_missing", 404, "",
        R"({"error":{"message":"The model `llama-3.3-70b` does not exist.",)"
        R"("type":"NotFoundError","param":"model","code":404}})"},
    Row{"openai_compatible", "too_large", 413, "", ""},
    Row{"openai_compatible", "invalid", 422, "",
        R"({"detail":[{"loc":["body","temperature"],"msg":"Input should be less than or equal )"
        R"(to 2","type":"less_than_equal"}]})"},
    Row{"openai_compatible", "context_of_llama", 400, "",
        R"({"error":{"code":400,"message":"the request exceeds the available context size, try )"
        R"(increasing it","type":"exceed_context_size_error","n_prompt_tokens":9000,)"
        R"("n_ctx":8192}})"},
    Row{"azure", "rate_limit", 429, "",
        R"({"error":{"code":"RateLimitReached","message":"Your requests to gpt-4o-mini for )"
        R"(gpt-4o-mini in Sweden Central have exceeded call rate limit of your current tier. )"
        R"(Please retry after 20 seconds."}})"},
    Row{"azure", "account_dry", 403, "",
        R"({"error":{"code":"403","message":"Quota exceeded for the subscription )"
        R"(/subscriptions/00000000-0000-0000-0000-000000000001."}})"},
    Row{"azure", "overloaded", 503, "",
        R"({"error":{"code":"ServiceUnavailable","message":"The service is temporarily unable )"
        R"(to process your request. Please try again later."}})"},
    Row{"azure", "server", 500, "",
        R"({"error":{"code":"InternalServerError","message":"The server had an error while )"
        R"(processing your request."}})"},
    Row{"azure", "timeout", 408, "",
        R"({"error":{"code":"Timeout","message":"The operation was timeout."}})"},
    Row{"azure", "context", 400, "",
        R"({"error":{"message":"This model's maximum context length is 128000 tokens. However, )"
        R"(your messages resulted in 130011 tokens. Please reduce the length of the messages.",)"
        R"("type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})"},
    Row{"azure", "content_filter", 400, "",
        R"({"error":{"message":"The response was filtered due to the prompt triggering Azure )"
        R"(OpenAI's content management policy.","type":null,"param":"prompt",)"
        R"("code":"content_filter","status":400,"innererror":{)"
        R"("code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{)"
        R"("filtered":true,"severity":"high"}}}}})"},
    Row{"azure", "bad_key", 401, "",
        R"({"error":{"code":"401","message":"Access denied due to invalid subscription key or )"
        R"(wrong API endpoint."}})"},
    Row{"azure", "no_permission", 403, "",
        R"({"error":{"code":"403","message":"Public access is disabled. Please configure )"
        R"(private endpoint."}})"},
    Row{"azure", "model_missing", 404, "",
        R"({"error":{"code":"DeploymentNotFound","message":"The API deployment for this )"
        R"(resource does not exist."}})"},
    Row{"azure", "too_large", 413, "",
        R"({"error":{"code":"413","message":"The request body is too large."}})"},
    Row{"azure", "invalid", 400, "",
        R"({"error":{"message":"Invalid value for 'temperature': expected at most 2.",)"
        R"("type":"invalid_request_error","param":"temperature","code":"invalid_value"}})"},
    Row{"anthropic", "rate_limit", 429, "",
        R"({"type":"error","error":{"type":"rate_limit_error","message":"This request would )"
        R"(exceed your organization's rate limit of 50 requests per minute."},)"
        R"("request_id":"req_simulated"})"},
    Row{"anthropic", "account_dry", 400, "",
        R"({"type":"error","error":{"type":"invalid_request_error","message":"Your credit )"
        R"(balance is too low to access the Anthropic API. Please go to Plans & Billing to )"
        R"(upgrade or purchase credits."},"request_id":"req_simulated"})"},
    Row{"anthropic", "billing", 402, "",
        R"({"type":"error","error":{"type":"billing_error","message":"There is a problem with )"
        R"(your payment method."},"request_id":"req_simulated"})"},
    Row{"anthropic", "overloaded", 529, "",
        R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},)"
        R"("request_id":"req_simulated"})"},
    Row{"anthropic", "server", 500, "",
        R"({"type":"error","error":{"type":"api_error","message":"Internal server error"},)"
        R"("request_id":"req_simulated"})"},
    Row{"anthropic", "timeout", 504, "",
        R"({"type":"error","error":{"type":"timeout_error","message":"The request timed out."},)"
        R"("request_id":"req_simulated"})"},
    Row{"anthropic", "context", 400, "",
        R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too )"
        R"(long: 210011 tokens > 200000 maximum"},"request_id":"req_simulated"})"},
    Row{"anthropic", "context_of_sum", 400, "",
        R"({"type":"error","error":{"type":"invalid_request_error","message":"input length and )"
        R"(`max_tokens` exceed context limit: 199000 + 4096 > 200000, decrease input length or )"
        R"(`max_tokens` and try again"},"request_id":"req_simulated"})"},
    Row{"anthropic", "content_filter", 400, "",
        R"({"type":"error","error":{"type":"invalid_request_error","message":"Output blocked )"
        R"(by content filtering policy"},"request_id":"req_simulated"})"},
    Row{"anthropic", "bad_key", 401, "",
        R"({"type":"error","error":{"type":"authentication_error","message":"invalid )"
        R"(x-api-key"},"request_id":"req_simulated"})"},
    Row{"anthropic", "no_permission", 403, "",
        R"({"type":"error","error":{"type":"permission_error","message":"Your API key does not )"
        R"(have permission to use the specified resource."},"request_id":"req_simulated"})"},
    Row{"anthropic", "model_missing", 404, "",
        R"({"type":"error","error":{"type":"not_found_error","message":"model: )"
        R"(claude-sonnet-4-5-20250929"},"request_id":"req_simulated"})"},
    Row{"anthropic", "too_large", 413, "",
        R"({"type":"error","error":{"type":"request_too_large","message":"Request exceeds the )"
        R"(maximum size"},"request_id":"req_simulated"})"},
    Row{"anthropic", "invalid", 400, "",
        R"({"type":"error","error":{"type":"invalid_request_error","message":"temperature: )"
        R"(range: 0..1"},"request_id":"req_simulated"})"},
    Row{"bedrock", "rate_limit", 429, "ThrottlingException",
        R"({"message":"Too many tokens, please wait before trying again."})"},
    Row{"bedrock", "service_quota", 400, "ServiceQuotaExceededException",
        R"({"message":"Your request exceeds the service quota for your account."})"},
    Row{"bedrock", "not_ready", 429, "ModelNotReadyException",
        R"({"message":"Model is not ready for inference. Wait and try your request again."})"},
    Row{"bedrock", "account_dry", 403, "AccessDeniedException",
        R"({"message":"Your account 123456789012 is not authorized to perform this action: its )"
        R"(payment instrument is invalid."})"},
    Row{"bedrock", "overloaded", 503, "ServiceUnavailableException",
        R"({"message":"Bedrock is unable to process your request."})"},
    Row{"bedrock", "server", 500, "InternalServerException",
        R"({"message":"The system encountered an unexpected error during processing. Try your )"
        R"(request again."})"},
    Row{"bedrock", "model_error", 424, "ModelErrorException",
        R"({"message":"The model returned the following errors: Internal error."})"},
    Row{"bedrock", "timeout", 408, "ModelTimeoutException",
        R"({"message":"Model has timed out in processing the request. Try your request again."})"},
    Row{"bedrock", "context", 400, "ValidationException",
        R"({"message":"Input is too long for requested model."})"},
    Row{"bedrock", "content_filter", 400, "ValidationException",
        R"({"message":"The model returned the following errors: Output blocked by content )"
        R"(filtering policy"})"},
    Row{"bedrock", "bad_key", 403, "UnrecognizedClientException",
        R"({"message":"The security token included in the request is invalid."})"},
    Row{"bedrock", "expired_key", 403, "ExpiredTokenException",
        R"({"message":"The security token included in the request is expired"})"},
    Row{"bedrock", "no_permission", 403, "AccessDeniedException",
        R"({"message":"You don't have access to the model with the specified model ID."})"},
    Row{"bedrock", "model_missing", 404, "ResourceNotFoundException",
        R"({"message":"Could not resolve the foundation model from the provided model )"
        R"(identifier."})"},
    Row{"bedrock", "too_large", 413, "RequestEntityTooLargeException",
        R"({"message":"Request body exceeds the maximum size"})"},
    Row{"bedrock", "invalid", 400, "ValidationException",
        R"({"message":"The model returned the following errors: temperature: range: 0..1"})"},
    Row{"gemini", "rate_limit", 429, "",
        R"({"error":{"code":429,"message":"Resource exhausted. Please try again later.",)"
        R"("status":"RESOURCE_EXHAUSTED","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{)"
        R"("quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]}]}})"},
    Row{"gemini", "account_dry", 429, "",
        R"({"error":{"code":429,"message":"You exceeded your current quota, please check your )"
        R"(plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{)"
        R"("quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}})"},
    Row{"gemini", "overloaded", 503, "",
        R"({"error":{"code":503,"message":"The model is overloaded. Please try again later.",)"
        R"("status":"UNAVAILABLE"}})"},
    Row{"gemini", "server", 500, "",
        R"({"error":{"code":500,"message":"An internal error has occurred.",)"
        R"("status":"INTERNAL"}})"},
    Row{"gemini", "timeout", 504, "",
        R"({"error":{"code":504,"message":"Deadline expired before operation could complete.",)"
        R"("status":"DEADLINE_EXCEEDED"}})"},
    Row{"gemini", "context", 400, "",
        R"({"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum )"
        R"(number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}})"},
    Row{"gemini", "bad_key", 400, "",
        R"({"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",)"
        R"("status":"INVALID_ARGUMENT","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",)"
        R"("domain":"googleapis.com"}]}})"},
    Row{"gemini", "no_permission", 403, "",
        R"({"error":{"code":403,"message":"Permission 'aiplatform.endpoints.predict' denied on )"
        R"(resource (or it may not exist).","status":"PERMISSION_DENIED"}})"},
    Row{"gemini", "model_missing", 404, "",
        R"({"error":{"code":404,"message":"models/gemini-2.5-flash is not found for API )"
        R"(version v1beta.","status":"NOT_FOUND"}})"},
    Row{"gemini", "too_large", 400, "",
        R"({"error":{"code":400,"message":"Request payload size exceeds the limit: 20971520 )"
        R"(bytes.","status":"INVALID_ARGUMENT"}})"},
    Row{"gemini", "invalid", 400, "",
        R"({"error":{"code":400,"message":"Invalid value at 'generation_config.temperature': )"
        R"(7.","status":"INVALID_ARGUMENT","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{)"
        R"("field":"generation_config.temperature"}]}]}})"},
    Row{"vertex", "rate_limit", 429, "",
        R"({"error":{"code":429,"message":"Resource exhausted. Please try again later.",)"
        R"("status":"RESOURCE_EXHAUSTED","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{)"
        R"("quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]}]}})"},
    Row{"vertex", "account_dry", 403, "",
        R"({"error":{"code":403,"message":"This API method requires billing to be enabled.",)"
        R"("status":"PERMISSION_DENIED","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"BILLING_DISABLED",)"
        R"("domain":"googleapis.com"}]}})"},
    Row{"vertex", "overloaded", 503, "",
        R"({"error":{"code":503,"message":"The model is overloaded. Please try again later.",)"
        R"("status":"UNAVAILABLE"}})"},
    Row{"vertex", "server", 500, "",
        R"({"error":{"code":500,"message":"An internal error has occurred.",)"
        R"("status":"INTERNAL"}})"},
    Row{"vertex", "timeout", 504, "",
        R"({"error":{"code":504,"message":"Deadline expired before operation could complete.",)"
        R"("status":"DEADLINE_EXCEEDED"}})"},
    Row{"vertex", "context", 400, "",
        R"({"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum )"
        R"(number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}})"},
    Row{"vertex", "bad_key", 401, "",
        R"({"error":{"code":401,"message":"Request had invalid authentication credentials.",)"
        R"("status":"UNAUTHENTICATED","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ACCESS_TOKEN_EXPIRED",)"
        R"("domain":"googleapis.com"}]}})"},
    Row{"vertex", "no_permission", 403, "",
        R"({"error":{"code":403,"message":"Permission 'aiplatform.endpoints.predict' denied on )"
        R"(resource (or it may not exist).","status":"PERMISSION_DENIED"}})"},
    Row{"vertex", "model_missing", 404, "",
        R"({"error":{"code":404,"message":"models/gemini-2.5-flash is not found for API )"
        R"(version v1beta.","status":"NOT_FOUND"}})"},
    Row{"vertex", "too_large", 400, "",
        R"({"error":{"code":400,"message":"Request payload size exceeds the limit: 20971520 )"
        R"(bytes.","status":"INVALID_ARGUMENT"}})"},
    Row{"vertex", "invalid", 400, "",
        R"({"error":{"code":400,"message":"Invalid value at 'generation_config.temperature': )"
        R"(7.","status":"INVALID_ARGUMENT","details":[{)"
        R"("@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{)"
        R"("field":"generation_config.temperature"}]}]}})"},
    Row{"cohere", "rate_limit", 429, "",
        R"({"message":"You are using a Production key, which is limited to 500 API calls / )"
        R"(minute."})"},
    Row{"cohere", "account_dry", 402, "",
        R"({"message":"Please add or update your payment method."})"},
    Row{"cohere", "overloaded", 503, "", R"({"message":"service unavailable"})"},
    Row{"cohere", "server", 500, "", R"({"message":"internal server error"})"},
    Row{"cohere", "timeout", 504, "", R"({"message":"upstream request timeout"})"},
    Row{"cohere", "context", 400, "",
        R"({"message":"too many tokens: total number of tokens in the prompt cannot exceed )"
        R"(128000 - received 130011. Try using a shorter prompt."})"},
    Row{"cohere", "bad_key", 401, "", R"({"message":"invalid api token"})"},
    Row{"cohere", "no_permission", 403, "", R"({"message":"this key may not use that model"})"},
    Row{"cohere", "model_missing", 404, "", R"({"message":"model 'command-a' not found"})"},
    Row{"cohere", "too_large", 413, "", R"({"message":"payload too large"})"},
    Row{"cohere", "invalid", 422, "",
        R"({"message":"temperature must be between 0 and 1.0 inclusive."})"},
    Row{"oci", "rate_limit", 429, "",
        R"({"code":"TooManyRequests","message":"Too many requests for the user"})"},
    Row{"oci", "account_dry", 402, "",
        R"({"code":"NotEnoughCredit","message":"The tenancy has no credit left"})"},
    Row{"oci", "overloaded", 503, "",
        R"({"code":"ServiceUnavailable","message":"The service is currently unavailable."})"},
    Row{"oci", "server", 500, "",
        R"({"code":"InternalServerError","message":"Internal server error"})"},
    Row{"oci", "timeout", 504, "",
        R"({"code":"GatewayTimeout","message":"The upstream did not answer in time"})"},
    Row{"oci", "context", 400, "",
        R"({"code":"400","message":"Please reduce the length of the messages: the model's )"
        R"(maximum context length is 128000 tokens, 130011 were sent"})"},
    Row{"oci", "bad_key", 401, "",
        R"({"code":"NotAuthenticated","message":"Failed to verify the HTTP(S) Signature"})"},
    Row{"oci", "no_permission", 403, "",
        R"({"code":"NotAllowed","message":"Tenancy ocid1.tenancy.oc1..simulated may not use )"
        R"(this model"})"},
    Row{"oci", "model_missing", 404, "",
        R"({"code":"NotAuthorizedOrNotFound","message":"Authorization failed or requested )"
        R"(resource not found."})"},
    Row{"oci", "too_large", 413, "",
        R"({"code":"PayloadTooLarge","message":"The payload is too large"})"},
    Row{"oci", "invalid", 400, "",
        R"({"code":"InvalidParameter","message":"temperature must be between 0 and 2"})"},
};

}  // namespace

bool is_refusal(std::string_view name) {
    return std::ranges::find(kRows, name, &Row::name) != kRows.end();
}

std::optional<Refusal> refusal_of(
    std::string_view kind, std::string_view name, std::int64_t retry_after_s) {
    const auto* row =
        std::ranges::find_if(kRows, [&](const Row& r) { return r.kind == kind && r.name == name; });
    if (row == kRows.end()) return std::nullopt;
    Refusal out;
    out.status = row->status;
    out.body = row->body;
    if (!row->error_type.empty()) {
        out.headers.add("x-amzn-errortype",
            std::string(row->error_type) + ":http://internal.amazon.com/coral/com.amazon.bedrock/");
        out.headers.add("x-amzn-requestid", "00000000-0000-4000-8000-000000000000");
        return out;  // AWS names no time to wait
    }
    const bool asks_to_wait = row->status == 429 || row->status == 503;
    if (asks_to_wait && retry_after_s > 0 && kind != "gemini" && kind != "vertex")
        out.headers.add("retry-after", static_cast<std::uint64_t>(retry_after_s));
    return out;
}

}  // namespace entrepot::cloudsim
