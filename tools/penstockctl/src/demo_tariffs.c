// The demo's tariffs as documents: time of use with five periods, month tiers, year tiers, and one price with a tax.
#include "base/check.h"
#include "demo_plan.h"

#define COMMON(code)                                             \
    "{\"code\": \"" code                                         \
    "\", \"utility\": \"electricity\", \"unit\": \"kWh\", "      \
    "\"currency\": \"CNY\", \"time_zone\": \"Asia/Shanghai\",\n" \
    " \"effective_from\": \"2024-01-01T00:00:00+08:00\", \"calendar_name\": \"cn-public\",\n"
#define EVERY_DAY "[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\",\"workday\"]"
#define ROUNDING "\"rounding\": {\"mode\": \"half_up\", \"scale\": 2, \"at\": \"total\"}}\n"

static const char MALL[] = COMMON("mall-tou") 
    " \"periods\": [\"critical_peak\", \"peak\", \"flat\", \"valley\", \"deep_valley\"],\n"
    " \"calendar\": [\n"
    "  {\"from\": \"01-01\", \"to\": \"12-31\", \"days\": [\"holiday\"], \"bands\": [\n"
    "    {\"from\": \"22:00\", \"to\": \"06:00\", \"period\": \"valley\"}, {\"from\": \"06:00\", \"to\": \"10:00\", \"period\": \"flat\"},\n"
    "    {\"from\": \"10:00\", \"to\": \"14:00\", \"period\": \"deep_valley\"}, {\"from\": \"14:00\", \"to\": \"22:00\", \"period\": \"flat\"}]},\n"
    "  {\"from\": \"07-01\", \"to\": \"08-31\", \"days\": " EVERY_DAY ", \"bands\": [\n"
    "    {\"from\": \"22:00\", \"to\": \"06:00\", \"period\": \"valley\"}, {\"from\": \"06:00\", \"to\": \"08:00\", \"period\": \"flat\"},\n"
    "    {\"from\": \"08:00\", \"to\": \"12:00\", \"period\": \"peak\"}, {\"from\": \"12:00\", \"to\": \"14:00\", \"period\": \"critical_peak\"},\n"
    "    {\"from\": \"14:00\", \"to\": \"18:00\", \"period\": \"peak\"}, {\"from\": \"18:00\", \"to\": \"22:00\", \"period\": \"flat\"}]},\n"
    "  {\"from\": \"01-01\", \"to\": \"12-31\", \"days\": " EVERY_DAY ", \"bands\": [\n"
    "    {\"from\": \"22:00\", \"to\": \"06:00\", \"period\": \"valley\"}, {\"from\": \"06:00\", \"to\": \"08:00\", \"period\": \"flat\"},\n"
    "    {\"from\": \"08:00\", \"to\": \"11:00\", \"period\": \"peak\"}, {\"from\": \"11:00\", \"to\": \"13:00\", \"period\": \"flat\"},\n"
    "    {\"from\": \"13:00\", \"to\": \"15:00\", \"period\": \"peak\"}, {\"from\": \"15:00\", \"to\": \"18:00\", \"period\": \"flat\"},\n"
    "    {\"from\": \"18:00\", \"to\": \"21:00\", \"period\": \"peak\"}, {\"from\": \"21:00\", \"to\": \"22:00\", \"period\": \"flat\"}]}],\n"
    " \"lines\": [\n"
    "  {\"name\": \"energy\", \"kind\": \"quantity\", \"prices\": {\"critical_peak\": [\"1.4020\"], \"peak\": [\"1.1480\"],\n"
    "    \"flat\": [\"0.7430\"], \"valley\": [\"0.3560\"], \"deep_valley\": [\"0.2480\"]}},\n"
    "  {\"name\": \"grid fund\", \"kind\": \"quantity\", \"prices\": {\"*\": [\"0.0291\"]}}],\n"
    " " ROUNDING;

static const char DORMITORY[] = COMMON("dormitory-month-tiers") 
    " \"tiers\": {\"over\": \"month\", \"kind\": \"graduated\", \"upper\": [\"60\", \"120\"]},\n"
    " \"lines\": [{\"name\": \"energy\", \"kind\": \"quantity\", \"prices\": {\"flat\": [\"0.4883\", \"0.5383\", \"0.7883\"]}}],\n"
    " " ROUNDING;

static const char FLAT[] = COMMON("resident-year-tiers") 
    " \"tiers\": {\"over\": \"year\", \"kind\": \"graduated\", \"upper\": [\"3120\", \"4800\"]},\n"
    " \"lines\": [{\"name\": \"energy\", \"kind\": \"quantity\", \"prices\": {\"flat\": [\"0.617\", \"0.667\", \"0.917\"]}}],\n"
    " " ROUNDING;

static const char OFFICE[] = COMMON("office-single-price") 
    " \"lines\": [{\"name\": \"energy\", \"kind\": \"quantity\", \"prices\": {\"flat\": [\"0.8230\"]}},\n"
    "  {\"name\": \"VAT\", \"kind\": \"percent\", \"rate\": \"0.13\", \"of\": [\"energy\"]}],\n"
    " " ROUNDING;

demo_tariff_text demo_tariff_of(demo_tariff which) {
    switch (which) {
        case DEMO_TARIFF_MALL: return (demo_tariff_text){"mall-tou", "商业五时段电价", MALL, 0};
        case DEMO_TARIFF_DORMITORY: return (demo_tariff_text){"dormitory-month-tiers", "宿舍月阶梯电价", DORMITORY, 1};
        case DEMO_TARIFF_FLAT: return (demo_tariff_text){"resident-year-tiers", "居民年阶梯电价", FLAT, 0};
        case DEMO_TARIFF_OFFICE: return (demo_tariff_text){"office-single-price", "办公单一电价", OFFICE, 0};
        case DEMO_TARIFFS: break;
    }
    BUG("no such demo tariff");
}
