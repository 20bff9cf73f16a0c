"""How skills are asked for: question forms by skill, language and split. A `held` form is never trained.

Slots: {a} {b} {n} numbers, {w} a weekday, {m} a month, {list} three numbers; stories have {who} {thing} {unit} too, the
unit being the thing's measure word. A form that begins with "!" is a request and takes its openers from REQUESTS. "|"
parts the two directions of a form (larger|smaller, rising|falling, after|before), and a line may end after it.
"""

import re


def _lines(block):
    return [line.strip() for line in re.sub(r"\|\s*\n\s*", "|", block).strip().splitlines()]


FORMS = {
    "addition": {
        "zh": {
            "train": _lines("""
                {a} 加 {b} 等于多少？
                {a} 加 {b} 等于几？
                {a} + {b} = ?
                {a} + {b} =
                {a} + {b}
                {a} 加 {b}
                {a} + {b} 等于多少？
                {a} + {b} 是多少？
                {a} 加 {b} 是几？
                {a} 加上 {b} 是多少？
                {a} 与 {b} 的和是多少？
                {a} 和 {b} 的和等于几？
                {a} 加 {b} 的结果是什么？
                {a} 加上 {b}，结果是多少？
                {a} 加 {b} 得多少？
                {a} + {b} 的得数是几？
                {a} + {b} 应该等于多少？
                把 {a} 和 {b} 加起来是多少？
                {a} 再加 {b}，一共是多少？
                {a} 增加 {b} 以后是多少？
                在 {a} 上加 {b}，会得到几？
                {a} 加 {b}，你会算吗？
                {a} 和 {b} 一共是多少？
                {a} 加 {b}，答案是几？
                这道题 {a} + {b} 的答案是多少？
                !算一下 {a} 加 {b}。
                !计算 {a} + {b}。
                !计算：{a} + {b}
                !求出 {a} 与 {b} 的和。
                !算出 {a} 加 {b} 的结果。
                !把 {a} 和 {b} 加在一起。
                !将 {a} 与 {b} 相加。
                !算算看 {a} 与 {b} 的和。
                !写出 {a} + {b} 的得数。
                !用 {a} 加 {b}，看看是几。
                {who}有 {a} {thing}，又得到 {b} {unit}，一共有多少{unit}？
                篮子里有 {a} {thing}，再放进 {b} {unit}，现在有几{unit}？
                {who}先买了 {a} {thing}，后来又买了 {b} {unit}，合起来是多少{unit}？
                {a} 跟 {b} 加起来得几？
                {a} 和 {b} 相加，得数是多少？
                两个加数是 {a} 和 {b}，和是多少？
                {a} 与 {b} 合在一起是多少？
                {a} 添上 {b} 是多少？
                {a} 再添 {b}，变成多少？
                比 {a} 多 {b} 的数是几？
                比 {a} 大 {b} 的数是多少？
                {a} 和 {b} 的总和是多少？
                {a}、{b} 这两个数的总数是几？
                我想知道 {a} 加 {b} 等于多少。
                {a} 加 {b} 我算不出来，答案是多少？
                {a} + {b} = （）括号里填几？
                !填空：{a} + {b} = ___
                加法题：{a} + {b} = ?
                一个数是 {a}，另一个数是 {b}，它们的和是多少？
                如果把 {b} 加到 {a} 上，会变成多少？
                从 {a} 往后数 {b} 个数，数到几？
                {a} 往上加 {b} 是多少？
                老师出了一道题：{a} 加 {b}，该写几？
                作业里有一题 {a} + {b}，得数该填多少？
                能告诉我 {a} 加 {b} 是多少吗？
                你知道 {a} 与 {b} 之和是几吗？
                {a} 与 {b} 之和为多少？
                {a} 多了 {b} 之后变成几？
                先有 {a} 个，再来 {b} 个，总共几个？
                左边 {a} 个，右边 {b} 个，加起来几个？
                谁能算出 {a} 加 {b} 得几？
                孩子问我 {a} 加 {b} 是几，我该怎么回答？
                口算：{a} 加 {b}
                {a} 同 {b} 相加等于几？
                !帮我加一下 {a} 和 {b}。
                !做一道加法：{a} + {b}
                !给 {a} 加上 {b}。
                !求 {a} 加 {b} 的值。
                !报出 {a} 与 {b} 相加的得数。
                !说说 {a} 加 {b} 等于多少。
                算式：{a} + {b} 得数：？
                {who}手里有 {a} {thing}，朋友又给了 {b} {unit}，现在共有多少{unit}？
                {who}昨天找到 {a} {thing}，今天又找到 {b} {unit}，总共找到几{unit}？
                桌上放着 {a} {thing}，又摆上 {b} {unit}，桌上一共几{unit}？
                盒子里原来有 {a} {thing}，再装进 {b} {unit}，盒子里有多少{unit}？
                左边有 {a} {thing}，右边有 {b} {unit}，两边加起来几{unit}？
                {who}收到 {a} {thing}，接着又收到 {b} {unit}，共收到几{unit}？
                {who}有 {a} {thing}，如果再多 {b} {unit}，会有多少{unit}？
            """),
            "held": _lines("""
                {a} 和 {b} 相加，得数是几？
                {a} 与 {b} 合起来是多少？
                算算看，{a} 加上 {b} 应该是几？
            """),
        },
        "en": {
            "train": _lines("""
                What is {a} plus {b}?
                What is {a} + {b}?
                {a} + {b} = ?
                {a} plus {b}?
                How much is {a} plus {b}?
                How much is {a} + {b}?
                What is the sum of {a} and {b}?
                What does {a} plus {b} equal?
                What do {a} and {b} add up to?
                What do you get if you add {a} and {b}?
                {a} plus {b} is what?
                What is the total of {a} and {b}?
                How many are {a} and {b} together?
                Can you add {a} and {b}?
                !Add {a} and {b}.
                !Calculate {a} + {b}.
                !Work out {a} plus {b}.
                !Find the sum of {a} and {b}.
                !Give the result of {a} plus {b}.
                {who} has {a} {thing} and gets {b} more. How many are there in all?
                What is {a} and {b} added together?
                {a} and {b} make what number?
                How much do {a} and {b} make?
                {a} increased by {b} is what number?
                What number is {b} more than {a}?
                Which number do you reach if you count up {b} from {a}?
                If I add {b} to {a}, what do I get?
                If you put {a} and {b} together, how many do you have?
                Adding {a} and {b} gives what?
                {a} + {b} equals what?
                {a} + {b} = ___
                Fill in the blank: {a} plus {b} is ___.
                Addition: {a} + {b} = ?
                I need to know what {a} plus {b} comes to.
                I cannot work out {a} plus {b}. What is it?
                My homework says {a} + {b}. What is the answer?
                Do you know the sum of {a} and {b}?
                Could you tell me how much {a} and {b} are altogether?
                What total do {a} and {b} give?
                Start with {a} and add {b}. What number is that?
                When {b} is added to {a}, what is the result?
                Take {a}, then {b} more: how many is that in total?
                !Compute the sum {a} + {b}.
                !Add {b} to {a}.
                !Tell me what {a} plus {b} makes.
                !Add up {a} and {b} for me.
                {who} has {a} {thing} and finds {b} more. How many {thing} does {who} have now?
                There are {a} {thing} in a box. {who} puts in {b} more. How many are in the box now?
                {who} buys {a} {thing} today and {b} tomorrow. How many is that altogether?
                If {who} has {a} {thing} and a friend brings {b} more, what is the total?
            """),
            "held": _lines("""
                If I add {a} and {b}, what is the total?
                What is the result when {a} and {b} are added together?
            """),
        },
    },
    "subtraction": {
        "zh": {
            "train": _lines("""
                {a} 减 {b} 等于多少？
                {a} 减 {b} 等于几？
                {a} - {b} = ?
                {a} - {b} =
                {a} - {b}
                {a} 减 {b}
                {a} - {b} 等于多少？
                {a} - {b} 是多少？
                {a} 减 {b} 是几？
                {a} 减去 {b} 是多少？
                {a} 与 {b} 的差是多少？
                {a} 和 {b} 的差等于几？
                {a} 减 {b} 的结果是什么？
                {a} 减去 {b}，结果是多少？
                {a} 减 {b} 得多少？
                {a} - {b} 的得数是几？
                {a} - {b} 应该等于多少？
                从 {a} 里减去 {b} 是多少？
                {a} 减少 {b} 以后是多少？
                {a} 拿走 {b}，还剩多少？
                {a} 比 {b} 多多少？
                {b} 比 {a} 少多少？
                {a} 减 {b}，你会算吗？
                {a} 减 {b}，答案是几？
                {a} 减掉 {b}，剩下几？
                这道题 {a} - {b} 的答案是多少？
                !算一下 {a} 减 {b}。
                !计算 {a} - {b}。
                !计算：{a} - {b}
                !求出 {a} 与 {b} 的差。
                !算出 {a} 减 {b} 的结果。
                !从 {a} 中减去 {b}。
                !算算看 {a} 与 {b} 的差。
                !写出 {a} - {b} 的得数。
                !用 {a} 减 {b}，看看是几。
                {who}有 {a} {thing}，送出去 {b} {unit}，还剩多少{unit}？
                篮子里有 {a} {thing}，拿走了 {b} {unit}，现在有几{unit}？
                一共有 {a} {thing}，用掉 {b} {unit}，剩下多少{unit}？
                {a} 里面去掉 {b}，还有几？
                {a} 和 {b} 相减，得数是多少？
                被减数是 {a}，减数是 {b}，差是多少？
                {a} 扣掉 {b} 是多少？
                {a} 扣除 {b} 后剩多少？
                比 {a} 少 {b} 的数是几？
                比 {a} 小 {b} 的数是多少？
                {a} 与 {b} 相差多少？
                {a} 和 {b} 差几？
                {a} 比 {b} 大多少？
                {b} 比 {a} 小几？
                {b} 再加几才是 {a}？
                {b} 加上多少等于 {a}？
                我想知道 {a} 减 {b} 等于多少。
                {a} 减 {b} 我算不出来，答案是多少？
                {a} - {b} = （）括号里填几？
                !填空：{a} - {b} = ___
                减法题：{a} - {b} = ?
                如果从 {a} 中拿掉 {b}，会剩下多少？
                从 {a} 往回数 {b} 个数，数到几？
                {a} 往下减 {b} 是多少？
                老师出了一道题：{a} 减 {b}，该写几？
                作业里有一题 {a} - {b}，得数该填多少？
                能告诉我 {a} 减 {b} 是多少吗？
                你知道 {a} 与 {b} 之差是几吗？
                {a} 与 {b} 之差为多少？
                {a} 少了 {b} 之后变成几？
                原来有 {a} 个，拿走 {b} 个，还有几个？
                谁能算出 {a} 减去 {b} 得几？
                孩子问我 {a} 减 {b} 是几，我该怎么回答？
                口算：{a} 减 {b}
                大数是 {a}，小数是 {b}，两数相差几？
                !帮我减一下：{a} 减 {b}。
                !做一道减法：{a} - {b}
                !把 {a} 减去 {b}。
                !求 {a} 减 {b} 的值。
                !说说 {a} 减 {b} 等于多少。
                算式：{a} - {b} 得数：？
                {who}手里有 {a} {thing}，给了朋友 {b} {unit}，手里还有多少{unit}？
                {who}原来有 {a} {thing}，丢了 {b} {unit}，现在剩几{unit}？
                桌上放着 {a} {thing}，收走 {b} {unit}，桌上还剩几{unit}？
                盒子里有 {a} {thing}，取出 {b} {unit}，盒子里还有多少{unit}？
                店里有 {a} {thing}，卖掉 {b} {unit}，还剩下几{unit}？
                {who}需要 {a} {thing}，已经有了 {b} {unit}，还缺多少{unit}？
                {who}带来 {a} {thing}，借出去 {b} {unit}，自己留下多少{unit}？
            """),
            "held": _lines("""
                {a} 去掉 {b}，剩下的是多少？
                从 {a} 中拿走 {b}，得数是几？
                算算看，{a} 减去 {b} 应该是几？
            """),
        },
        "en": {
            "train": _lines("""
                What is {a} minus {b}?
                What is {a} - {b}?
                {a} - {b} = ?
                {a} minus {b}?
                How much is {a} minus {b}?
                How much is {a} - {b}?
                What is the difference between {a} and {b}?
                What does {a} minus {b} equal?
                What is left of {a} if you take away {b}?
                What do you get if you subtract {b} from {a}?
                {a} minus {b} is what?
                {a} take away {b} is what?
                How much more is {a} than {b}?
                Can you subtract {b} from {a}?
                !Subtract {b} from {a}.
                !Calculate {a} - {b}.
                !Work out {a} minus {b}.
                !Find the difference between {a} and {b}.
                !Give the result of {a} minus {b}.
                {who} has {a} {thing} and gives away {b}. How many are left?
                {a} less {b} is what number?
                What is {a} reduced by {b}?
                What number is {b} less than {a}?
                How far is it from {b} up to {a}?
                Which number do you reach if you count back {b} from {a}?
                If I take {b} from {a}, what do I have left?
                If {b} is removed from {a}, how much remains?
                Taking {b} away from {a} gives what?
                {a} - {b} equals what?
                {a} - {b} = ___
                Fill in the blank: {a} minus {b} is ___.
                Subtraction: {a} - {b} = ?
                I need to know what {a} minus {b} comes to.
                I cannot work out {a} minus {b}. What is it?
                My homework says {a} - {b}. What is the answer?
                Do you know the difference of {a} and {b}?
                Could you tell me how much is left when {b} is taken off {a}?
                By how much is {a} larger than {b}?
                How much smaller is {b} than {a}?
                What must be added to {b} to make {a}?
                Start with {a} and remove {b}. What number is left?
                When {b} is subtracted from {a}, what is the result?
                !Compute the difference {a} - {b}.
                !Take {b} away from {a}.
                !Tell me what {a} minus {b} makes.
                !Take {a} and subtract {b}.
                {who} has {a} {thing} and loses {b}. How many {thing} does {who} still have?
                There are {a} {thing} in a box. {who} takes out {b}. How many remain in the box?
                A shop has {a} {thing} and sells {b}. How many are left over?
                {who} needs {a} {thing} and already has {b}. How many more does {who} need?
            """),
            "held": _lines("""
                If I take {b} away from {a}, how much is left?
                What is the result when {b} is subtracted from {a}?
            """),
        },
    },
    "comparison": {
        "zh": {
            "train": _lines("""
                {a} 和 {b} 哪个大？|{a} 和 {b} 哪个小？
                {a} 和 {b} 哪个更大？|{a} 和 {b} 哪个更小？
                {a} 与 {b} 哪个数大？|{a} 与 {b} 哪个数小？
                {a} 跟 {b} 比，哪个大？|{a} 跟 {b} 比，哪个小？
                {a} 和 {b} 相比，哪个更大？|{a} 和 {b} 相比，哪个更小？
                {a} 和 {b} 谁大？|{a} 和 {b} 谁小？
                哪个更大，{a} 还是 {b}？|哪个更小，{a} 还是 {b}？
                哪个数大：{a} 还是 {b}？|哪个数小：{a} 还是 {b}？
                {a} 和 {b} 中较大的是哪个？|{a} 和 {b} 中较小的是哪个？
                {a}、{b} 这两个数里，哪个大一些？|{a}、{b} 这两个数里，哪个小一些？
                是 {a} 大还是 {b} 大？|是 {a} 小还是 {b} 小？
                {a} 大还是 {b} 大？|{a} 小还是 {b} 小？
                在 {a} 和 {b} 中间，大的数是几？|在 {a} 和 {b} 中间，小的数是几？
                {a} 和 {b}，大的是哪一个？|{a} 和 {b}，小的是哪一个？
                {a} 与 {b}，谁比较大？|{a} 与 {b}，谁比较小？
                {a} 和 {b} 里面最大的是几？|{a} 和 {b} 里面最小的是几？
                {a} 和 {b} 比大小，谁大？|{a} 和 {b} 比大小，谁小？
                !比一比 {a} 和 {b}，说出大的数。|!比一比 {a} 和 {b}，说出小的数。
                !从 {a} 和 {b} 里选出较大的数。|!从 {a} 和 {b} 里选出较小的数。
                !找出 {a} 和 {b} 中更大的那个。|!找出 {a} 和 {b} 中更小的那个。
                !比较 {a} 与 {b}，哪个大？|!比较 {a} 与 {b}，哪个小？
                {a} 和 {b} 两个数，比较大的是几？|{a} 和 {b} 两个数，比较小的是几？
                {a} 与 {b} 中的最大值是多少？|{a} 与 {b} 中的最小值是多少？
                {a}、{b} 中最大的数是哪个？|{a}、{b} 中最小的数是哪个？
                {a} 同 {b} 相比，谁更大一些？|{a} 同 {b} 相比，谁更小一些？
                {a} 和 {b}，哪一个的数值大？|{a} 和 {b}，哪一个的数值小？
                数值更大的是 {a} 还是 {b}？|数值更小的是 {a} 还是 {b}？
                较大的数是 {a} 还是 {b}？|较小的数是 {a} 还是 {b}？
                更大的是谁，{a} 还是 {b}？|更小的是谁，{a} 还是 {b}？
                谁大：{a}，{b}？|谁小：{a}，{b}？
                谁更大呢，是 {a} 还是 {b}？|谁更小呢，是 {a} 还是 {b}？
                {a} 还是 {b} 更大？|{a} 还是 {b} 更小？
                {a} 还是 {b}，哪个大些？|{a} 还是 {b}，哪个小些？
                拿 {a} 跟 {b} 比，大的是谁？|拿 {a} 跟 {b} 比，小的是谁？
                把 {a} 和 {b} 放在一起比，哪个数更大？|把 {a} 和 {b} 放在一起比，哪个数更小？
                如果只能选大的，{a} 和 {b} 该选哪个？|如果只能选小的，{a} 和 {b} 该选哪个？
                如果要大一点的数，我该拿 {a} 还是 {b}？|如果要小一点的数，我该拿 {a} 还是 {b}？
                我分不清 {a} 和 {b} 谁大。|我分不清 {a} 和 {b} 谁小。
                我想知道 {a} 与 {b} 哪个较大。|我想知道 {a} 与 {b} 哪个较小。
                孩子问 {a} 和 {b} 哪个数大一点，该怎么答？|孩子问 {a} 和 {b} 哪个数小一点，该怎么答？
                能说出 {a} 和 {b} 当中较大的那个吗？|能说出 {a} 和 {b} 当中较小的那个吗？
                你知道 {a} 和 {b} 哪一个大吗？|你知道 {a} 和 {b} 哪一个小吗？
                有两个数，{a} 和 {b}，大的那一个是几？|有两个数，{a} 和 {b}，小的那一个是几？
                这里有 {a} 和 {b}，最大的是谁？|这里有 {a} 和 {b}，最小的是谁？
                填空：{a} 和 {b} 相比，___ 更大。|填空：{a} 和 {b} 相比，___ 更小。
                选择题：哪个数较大？{a} 或 {b}|选择题：哪个数较小？{a} 或 {b}
                比大小：{a}，{b}。大的是？|比大小：{a}，{b}。小的是？
                数字：{a}、{b} 最大值：？|数字：{a}、{b} 最小值：？
                max({a}, {b}) 是多少？|min({a}, {b}) 是多少？
                在数轴上，{a} 和 {b} 哪个更靠右？|在数轴上，{a} 和 {b} 哪个更靠左？
                {a} 和 {b} 哪个比另一个大？|{a} 和 {b} 哪个比另一个小？
                {a} 和 {b} 当中，哪个数目多一些？|{a} 和 {b} 当中，哪个数目少一些？
                {a} 和 {b}，哪个数更高？|{a} 和 {b}，哪个数更低？
                从小到大数，{a} 和 {b} 哪个后数到？|从小到大数，{a} 和 {b} 哪个先数到？
                {a} 和 {b} 二者之中，何者为大？|{a} 和 {b} 二者之中，何者为小？
                两数 {a}、{b}，何者较大？|两数 {a}、{b}，何者较小？
                {a} 跟 {b} 这两个数字，大的那个是？|{a} 跟 {b} 这两个数字，小的那个是？
                !在 {a} 和 {b} 里挑大的。|!在 {a} 和 {b} 里挑小的。
                !挑出 {a}、{b} 中最大的数。|!挑出 {a}、{b} 中最小的数。
                !告诉我 {a} 和 {b} 谁更大。|!告诉我 {a} 和 {b} 谁更小。
                !指出 {a} 与 {b} 中数值较大的一个。|!指出 {a} 与 {b} 中数值较小的一个。
                !求 {a} 和 {b} 的最大值。|!求 {a} 和 {b} 的最小值。
                !写出两个数 {a}、{b} 里更大的数。|!写出两个数 {a}、{b} 里更小的数。
                !判断 {a} 和 {b} 哪个大。|!判断 {a} 和 {b} 哪个小。
                !看看 {a} 跟 {b} 哪个数大些。|!看看 {a} 跟 {b} 哪个数小些。
                !选大的数：{a} 还是 {b}？|!选小的数：{a} 还是 {b}？
            """),
            "held": _lines("""
                {a}、{b}，哪一个数更大一些？|{a}、{b}，哪一个数更小一些？
                比一比，{a} 与 {b} 谁更大？|比一比，{a} 与 {b} 谁更小？
                {a} 和 {b} 这两个数中，较大的那个是几？|{a} 和 {b} 这两个数中，较小的那个是几？
            """),
        },
        "en": {
            "train": _lines("""
                Which is larger, {a} or {b}?|Which is smaller, {a} or {b}?
                Which is bigger: {a} or {b}?|Which is smaller: {a} or {b}?
                Which number is larger, {a} or {b}?|Which number is smaller, {a} or {b}?
                Which of {a} and {b} is larger?|Which of {a} and {b} is smaller?
                Is {a} or {b} larger?|Is {a} or {b} smaller?
                What is the larger of {a} and {b}?|What is the smaller of {a} and {b}?
                Of {a} and {b}, which is bigger?|Of {a} and {b}, which is smaller?
                {a} or {b}, which is greater?|{a} or {b}, which is less?
                Between {a} and {b}, which number is larger?|Between {a} and {b}, which number is smaller?
                {a} and {b}: which one is bigger?|{a} and {b}: which one is smaller?
                !Compare {a} and {b}: which is larger?|!Compare {a} and {b}: which is smaller?
                !Pick the larger number: {a} or {b}.|!Pick the smaller number: {a} or {b}.
                !Find the bigger of {a} and {b}.|!Find the smaller of {a} and {b}.
                !Tell me whether {a} or {b} is larger.|!Tell me whether {a} or {b} is smaller.
                What is the maximum of {a} and {b}?|What is the minimum of {a} and {b}?
                max({a}, {b}) = ?|min({a}, {b}) = ?
                Which is the greater number, {a} or {b}?|Which is the lesser number, {a} or {b}?
                Which is more, {a} or {b}?|Which is less, {a} or {b}?
                Which is higher, {a} or {b}?|Which is lower, {a} or {b}?
                Is the bigger number {a} or {b}?|Is the smaller number {a} or {b}?
                Is it {a} or {b} that is greater?|Is it {a} or {b} that is less?
                Of the two numbers {a} and {b}, which is the largest?|
                Of the two numbers {a} and {b}, which is the smallest?
                Out of {a} and {b}, which has the greater value?|Out of {a} and {b}, which has the lower value?
                Between {a} and {b}, what is the maximum?|Between {a} and {b}, what is the minimum?
                Comparing {a} with {b}, which one is greater?|Comparing {a} with {b}, which one is lower?
                {a} or {b}: which is the biggest?|{a} or {b}: which is the smallest?
                {a} and {b} are two numbers. Which one is higher?|{a} and {b} are two numbers. Which one is lower?
                Given {a} and {b}, what is the bigger number?|Given {a} and {b}, what is the smaller number?
                If I want the larger number, should I take {a} or {b}?|
                If I want the smaller number, should I take {a} or {b}?
                If you compare {a} and {b}, which comes out bigger?|If you compare {a} and {b}, which comes out smaller?
                I wonder which is greater, {a} or {b}.|I wonder which is smaller, {a} or {b}.
                I am not sure whether {a} or {b} is bigger.|I am not sure whether {a} or {b} is less.
                Do you know which of {a} and {b} is the greater one?|Do you know which of {a} and {b} is the lesser one?
                Can you say which number is bigger, {a} or {b}?|Can you say which number is lower, {a} or {b}?
                On a number line, which is further right, {a} or {b}?|
                On a number line, which is further left, {a} or {b}?
                Counting up from zero, which do you reach later, {a} or {b}?|
                Counting up from zero, which do you reach sooner, {a} or {b}?
                Fill in the blank: of {a} and {b}, the larger is ___.|
                Fill in the blank: of {a} and {b}, the smaller is ___.
                Numbers: {a}, {b}. Max: ?|Numbers: {a}, {b}. Min: ?
                !Choose the greater of the two: {a}, {b}.|!Choose the lesser of the two: {a}, {b}.
                !Give the maximum of {a} and {b}.|!Give the minimum of {a} and {b}.
                !Say which is greater, {a} or {b}.|!Say which is less, {a} or {b}.
                !Look at {a} and {b} and name the bigger one.|!Look at {a} and {b} and name the smaller one.
                !Decide which is the higher number, {a} or {b}.|!Decide which is the lower number, {a} or {b}.
                !Select the largest number from {a} and {b}.|!Select the smallest number from {a} and {b}.
            """),
            "held": _lines("""
                If you compare {a} with {b}, which one is larger?|If you compare {a} with {b}, which one is smaller?
                Of the numbers {a} and {b}, which is the larger?|Of the numbers {a} and {b}, which is the smaller?
            """),
        },
    },
    "sorting": {
        "zh": {
            "train": _lines("""
                !把 {list} 从小到大排列。|!把 {list} 从大到小排列。
                !把 {list} 从小到大排一排。|!把 {list} 从大到小排一排。
                !将 {list} 按从小到大的顺序排列。|!将 {list} 按从大到小的顺序排列。
                {list} 从小到大怎么排？|{list} 从大到小怎么排？
                {list} 从小到大排列是什么？|{list} 从大到小排列是什么？
                {list} 按从小到大排，结果是什么？|{list} 按从大到小排，结果是什么？
                !把 {list} 由小到大排好。|!把 {list} 由大到小排好。
                !从小到大排列：{list}|!从大到小排列：{list}
                !从小到大排一下：{list}。|!从大到小排一下：{list}。
                !给 {list} 排序，从小到大。|!给 {list} 排序，从大到小。
                !将 {list} 升序排列。|!将 {list} 降序排列。
                {list} 的升序是什么？|{list} 的降序是什么？
                !按升序写出 {list}。|!按降序写出 {list}。
                !把 {list} 这三个数从小排到大。|!把 {list} 这三个数从大排到小。
                三个数 {list}，从小到大依次是什么？|三个数 {list}，从大到小依次是什么？
                怎样把 {list} 从小到大排序？|怎样把 {list} 从大到小排序？
                有三个数：{list}。从小到大是什么顺序？|有三个数：{list}。从大到小是什么顺序？
                !整理一下 {list}，小的在前。|!整理一下 {list}，大的在前。
                {list}，小的排在前面怎么写？|{list}，大的排在前面怎么写？
                !排序 {list}，要从小到大。|!排序 {list}，要从大到小。
                !把 {list} 由小到大排列。|!把 {list} 由大到小排列。
                !将 {list} 由小到大写出来。|!将 {list} 由大到小写出来。
                由小到大排，{list} 是什么顺序？|由大到小排，{list} 是什么顺序？
                {list} 由小到大应该怎么排列？|{list} 由大到小应该怎么排列？
                !按由小到大的次序写下 {list}。|!按由大到小的次序写下 {list}。
                {list} 按升序排列是怎样的？|{list} 按降序排列是怎样的？
                !用升序排列这三个数：{list}。|!用降序排列这三个数：{list}。
                升序排列 {list} 的结果是什么？|降序排列 {list} 的结果是什么？
                升序：{list}|降序：{list}
                如果按升序排，{list} 会变成什么样？|如果按降序排，{list} 会变成什么样？
                !给 {list} 排个升序。|!给 {list} 排个降序。
                !按递增顺序排列 {list}。|!按递减顺序排列 {list}。
                {list} 的递增排列是什么？|{list} 的递减排列是什么？
                !将这组数递增排列：{list}。|!将这组数递减排列：{list}。
                !重新排列 {list}，使它们依次变大。|!重新排列 {list}，使它们依次变小。
                怎么排 {list} 才能依次增大？|怎么排 {list} 才能依次减小？
                要让 {list} 越来越大，该怎么排？|要让 {list} 越来越小，该怎么排？
                !排列 {list}，让后一个数总比前一个大。|!排列 {list}，让后一个数总比前一个小。
                !把 {list} 排成一个比一个大。|!把 {list} 排成一个比一个小。
                !排好 {list}，小的放前面。|!排好 {list}，大的放前面。
                小的在前，大的在后，{list} 怎么排？|大的在前，小的在后，{list} 怎么排？
                !把 {list} 重排，小的数在前，大的数在后。|!把 {list} 重排，大的数在前，小的数在后。
                先小后大，{list} 该怎么写？|先大后小，{list} 该怎么写？
                !按先小后大排列：{list}|!按先大后小排列：{list}
                !从最小的开始，依次写出 {list}。|!从最大的开始，依次写出 {list}。
                从最小的数排起，{list} 的顺序是什么？|从最大的数排起，{list} 的顺序是什么？
                最小的打头，{list} 应该怎样排？|最大的打头，{list} 应该怎样排？
                !让最小的排第一，整理 {list}。|!让最大的排第一，整理 {list}。
                有 {list} 三个数，从最小到最大怎么写？|有 {list} 三个数，从最大到最小怎么写？
                !从低到高排列 {list}。|!从高到低排列 {list}。
                {list} 从低到高排，是什么顺序？|{list} 从高到低排，是什么顺序？
                !把 {list} 由低到高排一下。|!把 {list} 由高到低排一下。
                {list} 从小到大的顺序是什么？|{list} 从大到小的顺序是什么？
                从小往大数，{list} 依次是哪几个？|从大往小数，{list} 依次是哪几个？
                !从小往大排：{list}|!从大往小排：{list}
                我想把 {list} 从小到大排，该怎么排？|我想把 {list} 从大到小排，该怎么排？
                能把 {list} 从小到大写一遍吗？|能把 {list} 从大到小写一遍吗？
                能帮我按升序整理 {list} 吗？|能帮我按降序整理 {list} 吗？
                这三个数乱了：{list}。由小到大是怎样的？|这三个数乱了：{list}。由大到小是怎样的？
                老师让我从小到大排 {list}，我不会。|老师让我从大到小排 {list}，我不会。
                题目：{list} 要求：从小到大 答案：？|题目：{list} 要求：从大到小 答案：？
                数字：{list} 升序：？|数字：{list} 降序：？
                !按数值增大的顺序列出 {list}。|!按数值减小的顺序列出 {list}。
                !按大小排列 {list}，最小的在最前面。|!按大小排列 {list}，最大的在最前面。
                !写下 {list}，从小的写到大的。|!写下 {list}，从大的写到小的。
            """),
            "held": _lines("""
                {list} 这三个数由小到大是什么顺序？|{list} 这三个数由大到小是什么顺序？
                !按照从小到大，给 {list} 排一下顺序。|!按照从大到小，给 {list} 排一下顺序。
                {list} 按升序怎么写？|{list} 按降序怎么写？
            """),
        },
        "en": {
            "train": _lines("""
                !Sort {list} from smallest to largest.|!Sort {list} from largest to smallest.
                !Sort {list} in ascending order.|!Sort {list} in descending order.
                !Put {list} in order from smallest to largest.|!Put {list} in order from largest to smallest.
                !Arrange {list} from smallest to largest.|!Arrange {list} from largest to smallest.
                !Arrange {list} in ascending order.|!Arrange {list} in descending order.
                !Order these from smallest to largest: {list}.|!Order these from largest to smallest: {list}.
                !List {list} with the smallest first.|!List {list} with the largest first.
                !Sort these three numbers, smallest first: {list}.|!Sort these three numbers, largest first: {list}.
                What are {list} from smallest to largest?|What are {list} from largest to smallest?
                What is the ascending order of {list}?|What is the descending order of {list}?
                How do you sort {list} from small to large?|How do you sort {list} from large to small?
                Smallest to largest, what is the order of {list}?|Largest to smallest, what is the order of {list}?
                Can you sort {list} in ascending order?|Can you sort {list} in descending order?
                !Write {list} in ascending order.|!Write {list} in descending order.
                !Put {list} in ascending order.|!Put {list} in descending order.
                In ascending order: {list}|In descending order: {list}
                How do {list} look in ascending order?|How do {list} look in descending order?
                In ascending order, what are {list}?|In descending order, what are {list}?
                !Sort {list} in increasing order.|!Sort {list} in decreasing order.
                What is the increasing order of {list}?|What is the decreasing order of {list}?
                !Rearrange {list} so that they are increasing.|!Rearrange {list} so that they are decreasing.
                !Write {list} in order of increasing size.|!Write {list} in order of decreasing size.
                !Sort {list} from low to high.|!Sort {list} from high to low.
                From low to high, how do you order {list}?|From high to low, how do you order {list}?
                !Order {list} from lowest to highest.|!Order {list} from highest to lowest.
                What are {list} from the lowest to the highest?|What are {list} from the highest to the lowest?
                !Order {list} with the lowest number first.|!Order {list} with the highest number first.
                !Arrange {list}, smallest first.|!Arrange {list}, largest first.
                With the smallest first, how would you write {list}?|With the largest first, how would you write {list}?
                Smallest first: {list}|Biggest first: {list}
                !Start with the smallest and list {list}.|!Start with the biggest and list {list}.
                !Write {list} from least to greatest.|!Write {list} from greatest to least.
                What is the order of {list} from least to greatest?|What is the order of {list} from greatest to least?
                Can you order {list} from least to greatest?|Can you order {list} from greatest to least?
                !Line up {list} from small to big.|!Line up {list} from big to small.
                Going from small to large, what is the order of {list}?|
                Going from large to small, what is the order of {list}?
                I have the numbers {list}. How do they go from smallest to biggest?|
                I have the numbers {list}. How do they go from biggest to smallest?
                If you sort {list} upwards, what do you get?|If you sort {list} downwards, what do you get?
                Could you arrange {list} so that each number is larger than the one before?|
                Could you arrange {list} so that each number is smaller than the one before?
                !Rank {list}, small ones first.|!Rank {list}, big ones first.
                Numbers: {list}. Ascending: ?|Numbers: {list}. Descending: ?
                I need {list} sorted in increasing order.|I need {list} sorted in decreasing order.
                My task is to write {list} from smallest to largest. What is the answer?|
                My task is to write {list} from largest to smallest. What is the answer?
                !Reorder these numbers so they go up: {list}.|!Reorder these numbers so they go down: {list}.
            """),
            "held": _lines("""
                !Put the numbers {list} in ascending order.|!Put the numbers {list} in descending order.
                How do you arrange {list} with the smallest first?|How do you arrange {list} with the largest first?
            """),
        },
    },
    "weekday": {
        "zh": {
            "train": _lines("""
                {w}的 {n} 天后是星期几？|{w}的 {n} 天前是星期几？
                {w}的 {n} 天之后是星期几？|{w}的 {n} 天之前是星期几？
                {w} {n} 天后是星期几？|{w} {n} 天前是星期几？
                {w}过 {n} 天是星期几？|{w}往前 {n} 天是星期几？
                {w}再过 {n} 天是星期几？|{w}倒回去 {n} 天是星期几？
                今天是{w}，{n} 天后是星期几？|今天是{w}，{n} 天前是星期几？
                今天是{w}，过 {n} 天是星期几？|今天是{w}，往前 {n} 天是星期几？
                如果今天是{w}，那么 {n} 天后是星期几？|如果今天是{w}，那么 {n} 天前是星期几？
                如果今天{w}，再过 {n} 天是周几？|如果今天{w}，{n} 天以前是周几？
                今天{w}，{n} 天之后是周几？|今天{w}，{n} 天之前是周几？
                从{w}往后数 {n} 天是星期几？|从{w}往前数 {n} 天是星期几？
                从{w}开始，{n} 天后是哪一天？|从{w}开始，{n} 天前是哪一天？
                {n} 天后是星期几？今天是{w}。|{n} 天前是星期几？今天是{w}。
                {w}以后 {n} 天是星期几？|{w}以前 {n} 天是星期几？
                {w}往后第 {n} 天是周几？|{w}往前第 {n} 天是周几？
                !算一下{w}的 {n} 天后是星期几。|!算一下{w}的 {n} 天前是星期几。
                !说出{w}过 {n} 天是星期几。|!说出{w}往前数 {n} 天是星期几。
                !从{w}往后数 {n} 天，看看是周几。|!从{w}往前数 {n} 天，看看是周几。
                {w}过了 {n} 天是星期几？|{w}倒退 {n} 天是星期几？
                {w}往后推 {n} 天是星期几？|{w}往前推 {n} 天是星期几？
                从{w}向后推 {n} 天，是星期几？|从{w}向前推 {n} 天，是星期几？
                从{w}算起，{n} 天之后是周几？|从{w}算起，{n} 天之前是周几？
                从{w}起再过 {n} 天，会是哪一天？|从{w}起倒推 {n} 天，会是哪一天？
                {w}加 {n} 天是星期几？|{w}减 {n} 天是星期几？
                {w}加上 {n} 天，得到星期几？|{w}减去 {n} 天，得到星期几？
                比{w}晚 {n} 天的是星期几？|比{w}早 {n} 天的是星期几？
                比{w}晚 {n} 天是周几？|比{w}早 {n} 天是周几？
                哪一天比{w}晚 {n} 天？|哪一天比{w}早 {n} 天？
                会议定在{w}，推迟 {n} 天是星期几？|会议定在{w}，提前 {n} 天是星期几？
                原定{w}出发，晚走 {n} 天，星期几出发？|原定{w}出发，早走 {n} 天，星期几出发？
                我{w}要考试，考完 {n} 天后是周几？|我{w}要考试，考前 {n} 天是周几？
                {w}是我的生日，生日过后 {n} 天是星期几？|{w}是我的生日，生日之前 {n} 天是星期几？
                今天{w}，再等 {n} 天是星期几？|今天{w}，退回 {n} 天是星期几？
                今天是{w}，往后数 {n} 天是周几？|今天是{w}，往前数 {n} 天是周几？
                今天是{w}，我 {n} 天后出门，那天是星期几？|今天是{w}，我 {n} 天前出过门，那天是星期几？
                今天是{w}，{n} 天以后是周几？|今天是{w}，{n} 天以前是周几？
                今天是{w}，{n} 天过后是星期几来着？|今天是{w}，{n} 天之前是星期几来着？
                既然今天是{w}，{n} 天后该是周几？|既然今天是{w}，{n} 天前该是周几？
                要是今天{w}，{n} 天后星期几？|要是今天{w}，{n} 天前星期几？
                假如今天是{w}，过上 {n} 天会是星期几？|假如今天是{w}，倒回 {n} 天会是星期几？
                假设今天为{w}，{n} 天后为星期几？|假设今天为{w}，{n} 天前为星期几？
                {n} 天以后是周几，如果今天是{w}？|{n} 天以前是周几，如果今天是{w}？
                再过 {n} 天是星期几？今天是{w}。|往前 {n} 天是星期几？今天是{w}。
                过 {n} 天是周几呢？今天{w}。|倒退 {n} 天是周几呢？今天{w}。
                {w}往后再走 {n} 天是周几？|{w}往前倒回 {n} 天是周几？
                在{w}之后 {n} 天，是星期几？|在{w}之前 {n} 天，是星期几？
                {w}后面第 {n} 天是周几？|{w}前面第 {n} 天是周几？
                {w}后 {n} 天是周几？|{w}前 {n} 天是周几？
                {w}向后数 {n} 天，数到周几？|{w}向前数 {n} 天，数到周几？
                我想知道{w}之后 {n} 天是周几。|我想知道{w}之前 {n} 天是周几。
                你知道{w}再过 {n} 天是周几吗？|你知道{w}往前 {n} 天是周几吗？
                能告诉我{w}的 {n} 天以后是星期几吗？|能告诉我{w}的 {n} 天以前是星期几吗？
                日历从{w}往后翻 {n} 天，翻到周几？|日历从{w}往前翻 {n} 天，翻到周几？
                填空：{w}的 {n} 天后是___。|填空：{w}的 {n} 天前是___。
                今天：{w} {n} 天后：？|今天：{w} {n} 天前：？
                {w}，{n} 天后，周几？|{w}，{n} 天前，周几？
                !把{w}往后推 {n} 天，说出是星期几。|!把{w}往前推 {n} 天，说出是星期几。
                !告诉我{w}之后 {n} 天是星期几。|!告诉我{w}之前 {n} 天是星期几。
                !推算{w}过 {n} 天是周几。|!推算{w}往前 {n} 天是周几。
                !写出比{w}晚 {n} 天的那一天。|!写出比{w}早 {n} 天的那一天。
                !算算今天{w}，再过 {n} 天是星期几。|!算算今天{w}，往前 {n} 天是星期几。
                !数一数，从{w}起 {n} 天后是周几。|!数一数，从{w}起 {n} 天前是周几。
            """),
            "held": _lines("""
                假如今天是{w}，再过 {n} 天会是星期几？|假如今天是{w}，{n} 天以前会是星期几？
                {w}之后的第 {n} 天是星期几？|{w}之前的第 {n} 天是星期几？
                !数一数，{w}往后 {n} 天是周几？|!数一数，{w}往前 {n} 天是周几？
            """),
        },
        "en": {
            "train": _lines("""
                What day is {n} days after {w}?|What day is {n} days before {w}?
                What day of the week is {n} days after {w}?|What day of the week is {n} days before {w}?
                Which day is {n} days after {w}?|Which day is {n} days before {w}?
                Which weekday comes {n} days after {w}?|Which weekday comes {n} days before {w}?
                Today is {w}. What day is it in {n} days?|Today is {w}. What day was it {n} days ago?
                If today is {w}, what day is it in {n} days?|If today is {w}, what day was it {n} days ago?
                If today is {w}, which day comes {n} days later?|If today is {w}, which day was {n} days earlier?
                {n} days after {w} is what day?|{n} days before {w} is what day?
                What is {w} plus {n} days?|What is {w} minus {n} days?
                Starting from {w}, what day is it {n} days later?|Starting from {w}, what day was it {n} days earlier?
                It is {w} now. What day comes {n} days later?|It is {w} now. What day was {n} days ago?
                !Count {n} days forward from {w}.|!Count {n} days back from {w}.
                !Name the day {n} days after {w}.|!Name the day {n} days before {w}.
                !Tell me the day {n} days after {w}.|!Tell me the day {n} days before {w}.
                What day is {n} days later than {w}?|What day is {n} days earlier than {w}?
                Which day is {n} days past {w}?|Which day is {n} days prior to {w}?
                What day of the week do you get {n} days after {w}?|What day of the week do you get {n} days before {w}?
                Which day of the week follows {w} by {n} days?|Which day of the week precedes {w} by {n} days?
                What weekday is it {n} days from {w}?|What weekday was it {n} days before {w}?
                After {w}, what day comes {n} days later?|Before {w}, what day comes {n} days earlier?
                {n} days later than {w}, what day is it?|{n} days earlier than {w}, what day is it?
                {n} days from now, what day will it be if today is {w}?|{n} days ago, what day was it if today is {w}?
                Today is {w}. Which weekday will it be {n} days from now?|
                Today is {w}. Which weekday was it {n} days back?
                Today is {w}. What will the day be after {n} days?|Today is {w}. What was the day {n} days before?
                Since today is {w}, what day will it be in {n} days?|Since today is {w}, what day was it {n} days ago?
                It is {w} today. In {n} days it will be what day?|It is {w} today. {n} days ago it was what day?
                Suppose today is {w}. What day is {n} days later?|Suppose today is {w}. What day was {n} days earlier?
                {w} plus {n} days is which day?|{w} minus {n} days is which day?
                If I add {n} days to {w}, which day do I get?|If I subtract {n} days from {w}, which day do I get?
                If you go {n} days forward from {w}, what day is it?|If you go {n} days back from {w}, what day is it?
                Moving ahead {n} days from {w}, which day do you land on?|
                Moving back {n} days from {w}, which day do you land on?
                My trip starts on {w}. Which day is {n} days after that?|
                My trip starts on {w}. Which day is {n} days before that?
                The party was planned for {w}. If it is held {n} days later, which day is it?|
                The party was planned for {w}. If it is held {n} days earlier, which day is it?
                A meeting on {w} is put off by {n} days. What day is it now on?|
                A meeting on {w} is moved up by {n} days. What day is it now on?
                I wonder what day comes {n} days after {w}.|I wonder what day comes {n} days before {w}.
                Do you know which day falls {n} days after {w}?|Do you know which day falls {n} days before {w}?
                Can you tell me what day it is {n} days after {w}?|Can you tell me what day it is {n} days before {w}?
                Fill in the blank: {n} days after {w} is ___.|Fill in the blank: {n} days before {w} is ___.
                Today: {w}. In {n} days: ?|Today: {w}. {n} days ago: ?
                !Give the weekday that is {n} days later than {w}.|!Give the weekday that is {n} days earlier than {w}.
                !Go forward {n} days from {w} and name the day.|!Go backward {n} days from {w} and name the day.
                !Add {n} days to {w}.|!Subtract {n} days from {w}.
                !Work out what day it will be {n} days from {w}.|!Work out what day it was {n} days before {w}.
                !Say what day it is {n} days after {w}.|!Say what day it is {n} days before {w}.
            """),
            "held": _lines("""
                If I count {n} days forward from {w}, what is it?|If I count {n} days back from {w}, what is it?
                Which weekday do we have {n} days after {w}?|Which weekday do we have {n} days before {w}?
            """),
        },
    },
    "month": {
        "zh": {
            "train": _lines("""
                {m}的 {n} 个月后是几月？
                {m}的 {n} 个月之后是几月？
                {m} {n} 个月后是几月？
                {m}过 {n} 个月是几月？
                {m}再过 {n} 个月是几月？
                现在是{m}，{n} 个月后是几月？
                现在是{m}，再过 {n} 个月是几月？
                如果现在是{m}，那么 {n} 个月后是几月？
                这个月是{m}，过 {n} 个月是几月？
                从{m}往后数 {n} 个月是几月？
                从{m}开始，{n} 个月后是哪个月？
                {n} 个月后是几月？现在是{m}。
                {m}以后 {n} 个月是哪个月？
                {m}往后第 {n} 个月是几月？
                !算一下{m}的 {n} 个月后是几月。
                !说出{m}过 {n} 个月是几月。
                !从{m}往后数 {n} 个月，看看是几月。
                {m}过了 {n} 个月是几月？
                {m}往后推 {n} 个月是几月？
                从{m}向后推 {n} 个月，是哪个月？
                从{m}算起，{n} 个月之后是几月？
                从{m}起再过 {n} 个月，会是哪个月？
                {m}加 {n} 个月是几月？
                {m}加上 {n} 个月，得到几月？
                比{m}晚 {n} 个月的是几月？
                哪个月比{m}晚 {n} 个月？
                {m}后 {n} 个月是几月？
                {m}之后 {n} 个月是哪个月？
                {m}之后的第 {n} 个月是几月？
                {m}后面第 {n} 个月是哪个月？
                在{m}之后 {n} 个月，是几月？
                {m}向后数 {n} 个月，数到几月？
                婚礼原定{m}，推迟 {n} 个月是几月？
                计划在{m}动工，延后 {n} 个月，几月动工？
                原定{m}搬家，晚 {n} 个月搬是几月？
                我{m}入学，{n} 个月后是几月？
                {m}买的票，{n} 个月以后用，那是几月？
                宝宝{m}出生，满 {n} 个月时是几月？
                {m}开工，{n} 个月后完工，完工在几月？
                {m}种下，{n} 个月后收获，收获在几月？
                现在{m}，再等 {n} 个月是几月？
                眼下是{m}，{n} 个月以后是几月？
                本月是{m}，{n} 个月之后是哪个月？
                这个月是{m}，往后数 {n} 个月是几月？
                既然现在是{m}，{n} 个月后该是几月？
                要是现在{m}，过 {n} 个月是哪个月？
                假如现在是{m}，再过 {n} 个月会是几月？
                假设本月为{m}，{n} 个月后为几月？
                {n} 个月以后是几月，如果现在是{m}？
                再过 {n} 个月是几月？现在是{m}。
                过 {n} 个月是哪个月呢？这个月是{m}。
                我想知道{m}之后 {n} 个月是几月。
                你知道{m}再过 {n} 个月是哪个月吗？
                能告诉我{m}的 {n} 个月以后是几月吗？
                日历从{m}往后翻 {n} 页，翻到几月？
                填空：{m}的 {n} 个月后是___。
                本月：{m} {n} 个月后：？
                !把{m}往后推 {n} 个月，说出是几月。
                !告诉我{m}之后 {n} 个月是几月。
                !推算{m}过 {n} 个月是哪个月。
                !写出比{m}晚 {n} 个月的月份。
                !数一数，从{m}起 {n} 个月后是几月。
            """),
            "held": _lines("""
                假如这个月是{m}，再过 {n} 个月会是几月？
                {m}之后的第 {n} 个月是哪个月？
                !数一数，{m}往后 {n} 个月是几月？
            """),
        },
        "en": {
            "train": _lines("""
                What month is {n} months after {m}?
                Which month is {n} months after {m}?
                Which month comes {n} months after {m}?
                It is {m}. What month is it in {n} months?
                If it is {m} now, what month is it in {n} months?
                If it is {m}, which month comes {n} months later?
                {n} months after {m} is what month?
                What is {m} plus {n} months?
                Starting from {m}, what month is it {n} months later?
                !Count {n} months forward from {m}.
                !Name the month {n} months after {m}.
                !Tell me the month {n} months after {m}.
                What month is {n} months later than {m}?
                Which month is {n} months past {m}?
                Which month follows {m} by {n} months?
                What month is it {n} months from {m}?
                What month do you get {n} months after {m}?
                After {m}, which month comes {n} months later?
                {n} months later than {m}, what month is it?
                {n} months from now, what month will it be if it is {m}?
                It is {m} now. Which month will it be {n} months from now?
                This month is {m}. What month will it be after {n} months?
                Since it is {m}, what month will it be in {n} months?
                The month is {m}. In {n} months it will be which month?
                Suppose it is {m}. What month is {n} months later?
                {m} plus {n} months is which month?
                If I add {n} months to {m}, which month do I get?
                If you go {n} months forward from {m}, what month is it?
                Moving ahead {n} months from {m}, which month do you reach?
                A plant sown in {m} is ripe {n} months later. In which month is that?
                The wedding in {m} is put off by {n} months. In which month is it now?
                I start a job in {m}. Which month is it {n} months later?
                I wonder what month comes {n} months after {m}.
                Do you know which month falls {n} months after {m}?
                Can you tell me what month it is {n} months after {m}?
                Fill in the blank: {n} months after {m} is ___.
                This month: {m}. In {n} months: ?
                !Give the month that is {n} months later than {m}.
                !Go forward {n} months from {m} and name the month.
                !Add {n} months to {m}.
                !Work out what month it will be {n} months from {m}.
                !Say which month it is {n} months after {m}.
            """),
            "held": _lines("""
                If I count {n} months forward from {m}, what is it?
                Which month do we have {n} months after {m}?
            """),
        },
    },
    "parity": {
        "zh": {
            "train": _lines("""
                {n} 是奇数还是偶数？
                {n} 是偶数还是奇数？
                {n} 是单数还是双数？
                {n} 是双数还是单数？
                {n} 这个数是奇数还是偶数？
                数字 {n} 是奇数还是偶数？
                {n} 是奇数吗？
                {n} 是偶数吗？
                {n} 是不是偶数？
                {n} 是不是奇数？
                {n} 属于奇数还是偶数？
                {n} 算单数还是双数？
                {n}，奇数还是偶数？
                {n} 是奇是偶？
                奇数还是偶数：{n}？
                {n} 到底是奇数还是偶数？
                从奇偶来看，{n} 是什么数？
                !判断 {n} 是奇数还是偶数。
                !说出 {n} 是奇数还是偶数。
                !看看 {n} 是单数还是双数。
                !判断一下 {n} 的奇偶。
                {n} 是单数吗？
                {n} 是双数吗？
                {n} 是不是单数？
                {n} 是不是双数？
                {n} 算不算偶数？
                {n} 算不算奇数？
                {n} 是个双数还是单数呢？
                {n} 是单还是双？
                {n} 是奇还是偶？
                {n} 是偶是奇？
                {n} 属于单数还是双数？
                {n} 属于偶数还是奇数？
                {n} 为奇数还是偶数？
                {n}，单数还是双数？
                {n}，偶数还是奇数？
                {n} 这个数是单数还是双数？
                数字 {n} 是单是双？
                单数还是双数：{n}？
                {n} 的奇偶性是什么？
                {n} 的奇偶性如何？
                按奇偶来分，{n} 属于哪一类？
                整数分奇数和偶数，{n} 是哪一种？
                自然数有单有双，{n} 是哪种？
                奇数和偶数，{n} 是其中哪一个？
                {n} 应该归到奇数还是偶数里？
                {n} 该放进单数那组还是双数那组？
                想想 {n} 能不能被 2 整除，它是奇数还是偶数？
                能被 2 整除的是偶数，不能的是奇数，{n} 是哪种？
                我的门牌号是 {n}，是单号还是双号？
                座位号 {n} 是单号还是双号？
                车牌尾号按 {n} 算，是单号还是双号？
                我想知道 {n} 是奇数还是偶数。
                我分不清 {n} 是单数还是双数。
                你知道 {n} 是双数还是单数吗？
                能告诉我 {n} 是奇数还是偶数吗？
                孩子问 {n} 是单数还是双数，该怎么回答？
                填空：{n} 是___数。（奇或偶）
                选择题：{n} 是（奇数，偶数）？
                数字：{n} 奇偶：？
                !指出 {n} 是偶数还是奇数。
                !告诉我 {n} 是单数还是双数。
                !辨一辨 {n} 是奇是偶。
                !把 {n} 归类：奇数还是偶数？
                !说明 {n} 的奇偶性。
                !回答：{n} 是双数还是单数？
            """),
            "held": _lines("""
                {n} 这个数字算奇数，还是算偶数？
                {n} 的奇偶是什么？
                !判断一下，数字 {n} 属于单数还是双数？
            """),
        },
        "en": {
            "train": _lines("""
                Is {n} odd or even?
                Is {n} even or odd?
                Is the number {n} odd or even?
                Is {n} an odd number or an even number?
                Is {n} an even number?
                Is {n} an odd number?
                Is {n} odd?
                Is {n} even?
                {n}: odd or even?
                Odd or even: {n}?
                What is {n}, odd or even?
                Would you call {n} odd or even?
                !Tell me whether {n} is odd or even.
                !Say if {n} is even or odd.
                !Check whether {n} is odd or even.
                Is {n} an even number or an odd number?
                Is the number {n} even or odd?
                Is the number {n} even?
                Is the number {n} odd?
                {n} is odd or even?
                {n} is an even or an odd number?
                {n}, even or odd?
                Even or odd: {n}?
                Even number or odd number: what is {n}?
                What is the parity of {n}?
                Which is {n}: an odd number or an even one?
                Does {n} count as odd or even?
                Does {n} belong to the odd numbers or the even numbers?
                Among even and odd numbers, where does {n} belong?
                Numbers are odd or even. Which is {n}?
                Thinking of division by two, is {n} odd or even?
                Even numbers can be halved and odd ones cannot. Which kind is {n}?
                My house number is {n}. Is that odd or even?
                If the count is {n}, is it an even or an odd number?
                I wonder whether {n} is odd or even.
                I am not sure if {n} is even or odd.
                Do you know whether {n} is an odd or an even number?
                Can you say if {n} is odd or even?
                Number: {n}. Odd or even: ?
                Fill in the blank with odd or even: {n} is ___.
                !Decide if {n} is odd or even.
                !Give the parity of {n}.
                !Say whether the number {n} is even or odd.
                !Classify {n} as odd or even.
            """),
            "held": _lines("""
                Would you say {n} is odd or even?
                What kind of number is {n}, even or odd?
            """),
        },
    },
    "counting": {
        "zh": {
            "train": _lines("""
                {n} 的后一个数是多少？|{n} 的前一个数是多少？
                {n} 的后一个数是几？|{n} 的前一个数是几？
                {n} 后面的数是几？|{n} 前面的数是几？
                {n} 后面一个数是多少？|{n} 前面一个数是多少？
                {n} 的下一个数是几？|{n} 的上一个数是几？
                {n} 下一个是多少？|{n} 上一个是多少？
                {n} 之后是哪个数？|{n} 之前是哪个数？
                {n} 后面是几？|{n} 前面是几？
                紧跟在 {n} 后面的数是多少？|紧挨在 {n} 前面的数是多少？
                数数时，{n} 后面是几？|数数时，{n} 前面是几？
                数到 {n}，下一个数是几？|倒着数到 {n}，下一个数是几？
                比 {n} 大 1 的数是多少？|比 {n} 小 1 的数是多少？
                比 {n} 多一的数是几？|比 {n} 少一的数是几？
                从 {n} 往后数一个数是几？|从 {n} 往前数一个数是几？
                哪个数在 {n} 后面？|哪个数在 {n} 前面？
                !说出 {n} 后面的那个数。|!说出 {n} 前面的那个数。
                !写出 {n} 的下一个数。|!写出 {n} 的上一个数。
                !告诉我 {n} 的后一个数。|!告诉我 {n} 的前一个数。
                {n} 的下一个数是多少？|{n} 的上一个数是多少？
                {n} 的下一个是几？|{n} 的上一个是几？
                {n} 的下一个整数是几？|{n} 的上一个整数是几？
                下一个数是几，如果现在是 {n}？|上一个数是几，如果现在是 {n}？
                我数到 {n} 了，接下来该数几？|我数到 {n} 了，刚才数的是几？
                {n} 的后面是哪个数？|{n} 的前面是哪个数？
                {n} 后面紧跟着几？|{n} 前面紧挨着几？
                {n} 后面那个数是什么？|{n} 前面那个数是什么？
                {n} 后边的数字是几？|{n} 前边的数字是几？
                排在 {n} 后面的数是几？|排在 {n} 前面的数是几？
                排在 {n} 后一位的是几？|排在 {n} 前一位的是几？
                什么数紧接在 {n} 之后？|什么数紧接在 {n} 之前？
                紧接着 {n} 之后的数是哪个？|紧挨着 {n} 之前的数是哪个？
                {n} 之后的第一个数是几？|{n} 之前的第一个数是几？
                {n} 以后的那个数是几？|{n} 以前的那个数是几？
                {n} 往后一个是几？|{n} 往前一个是几？
                从 {n} 向后走一步是几？|从 {n} 向前退一步是几？
                从 {n} 起再往后数一个，是多少？|从 {n} 起再往回数一个，是多少？
                接着 {n} 往下数一个，是几？|从 {n} 往回倒数一个，是几？
                顺着数，{n} 的后一个是几？|顺着数，{n} 的前一个是几？
                按顺序数数，{n} 之后该数几？|按顺序数数，数 {n} 之前该数几？
                数完 {n} 该数几？|数完几才数 {n}？
                {n} 多 1 是几？|{n} 少 1 是几？
                {n} 加一是几？|{n} 减一是几？
                {n} 再加 1 是多少？|{n} 再减 1 是多少？
                比 {n} 大一的是哪个数？|比 {n} 小一的是哪个数？
                什么数比 {n} 多 1？|什么数比 {n} 少 1？
                哪个数刚好比 {n} 大 1？|哪个数刚好比 {n} 小 1？
                与 {n} 相邻又比它大的数是几？|与 {n} 相邻又比它小的数是几？
                {n} 有两个邻居，大的那个是几？|{n} 有两个邻居，小的那个是几？
                数轴上 {n} 右边的第一个整数是几？|数轴上 {n} 左边的第一个整数是几？
                第 {n} 页的后一页是第几页？|第 {n} 页的前一页是第几页？
                我的号码是 {n}，后面一位是几号？|我的号码是 {n}，前面一位是几号？
                我想知道 {n} 后面是什么数。|我想知道 {n} 前面是什么数。
                你知道 {n} 的后一个数是谁吗？|你知道 {n} 的前一个数是谁吗？
                能告诉我 {n} 下面一个数是几吗？|能告诉我 {n} 上面一个数是几吗？
                填空：{n} 的后面是___。|填空：{n} 的前面是___。
                按顺序填空：{n}，___|按顺序填空：___，{n}
                数字：{n} 下一个：？|数字：{n} 上一个：？
                !接着 {n} 往后数一个数。|!从 {n} 往前数一个数。
                !报出 {n} 之后的数。|!报出 {n} 之前的数。
                !填上紧跟 {n} 的那个数。|!填上紧挨在 {n} 之前的那个数。
                !说说 {n} 的下一个数是谁。|!说说 {n} 的上一个数是谁。
                !写出比 {n} 大 1 的数。|!写出比 {n} 小 1 的数。
                !找出 {n} 后面紧邻的数。|!找出 {n} 前面紧邻的数。
            """),
            "held": _lines("""
                {n} 后面紧跟着的是几？|{n} 前面紧挨着的是几？
                数数的时候，{n} 的下一个是多少？|数数的时候，{n} 的上一个是多少？
                哪个数比 {n} 大 1？|哪个数比 {n} 小 1？
            """),
        },
        "en": {
            "train": _lines("""
                What number comes after {n}?|What number comes before {n}?
                Which number comes after {n}?|Which number comes before {n}?
                What is the number after {n}?|What is the number before {n}?
                What comes right after {n}?|What comes right before {n}?
                What is the next number after {n}?|What is the last number before {n}?
                When you count, what follows {n}?|When you count, what comes before {n}?
                Which number is one more than {n}?|Which number is one less than {n}?
                What is one more than {n}?|What is one less than {n}?
                What number follows {n}?|What number is just before {n}?
                !Tell me the number after {n}.|!Tell me the number before {n}.
                !Name the number that comes after {n}.|!Name the number that comes before {n}.
                !Write the number right after {n}.|!Write the number right before {n}.
                What is the next number if I am at {n}?|What is the previous number if I am at {n}?
                Which number is next after {n}?|Which number is previous to {n}?
                What is the number following {n}?|What is the number preceding {n}?
                Which number follows directly after {n}?|Which number comes directly before {n}?
                Which whole number comes next after {n}?|Which whole number comes just before {n}?
                Which number immediately follows {n}?|Which number immediately precedes {n}?
                After {n}, what number comes?|Before {n}, what number comes?
                After {n} comes which number?|Before {n} comes which number?
                {n} is followed by what number?|{n} is preceded by what number?
                {n} and then what number?|What number and then {n}?
                {n} plus one is what?|{n} minus one is what?
                What is {n} increased by one?|What is {n} decreased by one?
                What number is 1 greater than {n}?|What number is 1 smaller than {n}?
                What number is one higher than {n}?|What number is one lower than {n}?
                What is the successor of {n}?|What is the predecessor of {n}?
                Counting up, what do you say after {n}?|Counting up, what do you say before {n}?
                If you count forward from {n}, what is next?|If you count backward from {n}, what is next?
                I have counted up to {n}. What number is next?|I have counted down to {n}. What number is next?
                I am on page {n}. What is the next page?|I am on page {n}. What is the previous page?
                On a number line, which number is just to the right of {n}?|
                On a number line, which number is just to the left of {n}?
                I wonder what number comes after {n}.|I wonder what number comes before {n}.
                Do you know the number that is next after {n}?|Do you know the number that is just before {n}?
                Can you name the number right after {n}?|Can you name the number right before {n}?
                Fill in the blank: {n}, ___|Fill in the blank: ___, {n}
                Number: {n}. Next: ?|Number: {n}. Previous: ?
                !Give the number next after {n}.|!Give the number previous to {n}.
                !Count one forward from {n}.|!Count one back from {n}.
                !Say the number that follows {n}.|!Say the number that precedes {n}.
                !Add one to {n}.|!Take one from {n}.
                !Find the number one larger than {n}.|!Find the number one smaller than {n}.
            """),
            "held": _lines("""
                When counting, which number is right after {n}?|When counting, which number is right before {n}?
                Counting up, what number do you say after {n}?|Counting up, what number do you say before {n}?
            """),
        },
    },
}
