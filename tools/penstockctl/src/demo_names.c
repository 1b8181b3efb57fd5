// Names of customers who do not exist.
#include "base/mem.h"
#include "demo_plan.h"

static const char *const SHOPS[] = {"晨光文具", "云上咖啡", "老街面馆", "青禾花店", "南山书屋", "海味小厨", "锦绣布衣",   "知味火锅",
                                    "小满茶铺", "拾光眼镜", "盛世珠宝", "阳光药房", "悦读童书", "蓝鲸运动", "春风理发",   "麦田烘焙",
                                    "清泉洗衣", "星河数码", "木几家居", "百味坊",   "竹里馆",   "大碗茶",   "童趣积木屋", "安心超市"};
static const char *const FIRM_HEADS[] = {"远航", "恒信", "启明", "同创", "华岳", "中科", "博雅", "瑞丰", "天工", "德胜", "凌云", "嘉禾"};
static const char *const FIRM_TAILS[] = {"贸易有限公司",     "信息技术有限公司", "建筑设计事务所",
                                         "文化传播有限公司", "律师事务所",       "物流有限公司"};
static const char *const SURNAMES[] = {"王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭",
                                       "何", "林", "高", "罗", "郑", "梁", "谢", "宋", "唐", "许", "韩", "冯", "邓", "曹", "彭", "曾"};
static const char *const GIVEN[] = {"伟",   "芳",   "娜",   "敏",   "静",   "丽",   "强",   "磊",   "军",   "洋",   "勇",
                                    "艳",   "杰",   "涛",   "明",   "超",   "秀兰", "子涵", "梓萱", "浩然", "宇轩", "诗涵",
                                    "思远", "嘉怡", "俊熙", "雨桐", "晓东", "建国", "志强", "海燕", "文博", "一诺"};

#define PICK(list, key, salt) ((list)[fleet_mix((key), (salt)) % ARRAY_LEN(list)])

sv demo_name_shop(arena *memory, uint64_t key) {
    return sv_of(arena_printf(memory, "%s%s", PICK(SHOPS, key, 1), fleet_mix(key, 2) % 3 == 0 ? "旗舰店" : ""));
}

sv demo_name_firm(arena *memory, uint64_t key) {
    return sv_of(arena_printf(memory, "%s%s", PICK(FIRM_HEADS, key, 3), PICK(FIRM_TAILS, key, 4)));
}

sv demo_name_person(arena *memory, uint64_t key) {
    return sv_of(arena_printf(memory, "%s%s", PICK(SURNAMES, key, 5), PICK(GIVEN, key, 6)));
}

// 199 is no prefix of a subscriber's number.
sv demo_phone(arena *memory, uint64_t key) { return sv_of(arena_printf(memory, "19900%06u", (unsigned)(fleet_mix(key, 7) % 1000000))); }
